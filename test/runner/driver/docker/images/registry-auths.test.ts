import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { parseImage } from "../../../../../runner/driver/docker/images/image-reference.ts";
import { parseRegistryAuths, registryHosts } from "../../../../../runner/driver/docker/images/registry-auths.ts";

const auth = (userAndPassword: string) => ({ auth: Buffer.from(userAndPassword).toString("base64") });
const read = (config: object) => parseRegistryAuths(JSON.stringify(config), "the test");

/** Who is asked for an image of this registry. */
function userFor(config: object, image: string, app = "anybody"): string | undefined {
  const found = read(config).find(parseImage(image), app);
  return found !== undefined && "username" in found ? found.username : undefined;
}

describe("registryHosts", () => {
  const ROWS: Readonly<Record<string, readonly string[]>> = {
    "": [],
    localhost: ["localhost"],
    "google.com": ["google.com"],
    "top.google.com": ["top.google.com", "google.com"],
    "top.top.google.com": ["top.top.google.com", "top.google.com", "google.com"],
    "https://top.google.com:443/v1/": ["top.google.com:443", "google.com:443"],
    "localhost:5000": ["localhost:5000"],
    "10.0.0.7:5000": ["10.0.0.7:5000"],
  };
  for (const [address, hosts] of Object.entries(ROWS)) {
    it(`of "${address}" are ${hosts.join(", ") || "none"} (Fn's TestRegistrySubDomains)`, () => {
      assert.deepEqual(registryHosts(address), hosts);
    });
  }
});

describe("parseRegistryAuths", () => {
  it("finds Docker Hub's under each of its names (Fn's TestRegistryEnv)", () => {
    const config = { auths: { "https://index.docker.io/v1/": auth("hub:secret") } };

    for (const image of ["mongo", "fnproject/hello:1", "docker.io/fnproject/hello", "index.docker.io/a/b"]) {
      assert.equal(userFor(config, image), "hub", image);
    }
    assert.equal(userFor(config, "localhost/hello"), undefined);
  });

  it("finds a registry by its host, its port and its parent domains (Fn's TestRegistryEnv)", () => {
    const config = {
      auths: {
        "my.registry.com": auth("plain:s"),
        "https://my.registry.com:5000": auth("port:s"),
        "deep.down.cheese.org": auth("deep:s"),
      },
    };

    assert.equal(userFor(config, "my.registry.com/a"), "plain");
    assert.equal(userFor(config, "my.registry.com:5000/a"), "port");
    assert.equal(userFor(config, "registry.com/a"), "plain");
    assert.equal(userFor(config, "down.cheese.org/a"), "deep");
    assert.equal(userFor(config, "deeper.deep.down.cheese.org/a"), undefined);
    assert.equal(userFor(config, "org/a"), undefined);
    assert.equal(userFor(config, "localhost/a"), undefined);
  });

  it("takes the entry of the registry itself before one of a domain below it", () => {
    const config = { auths: { "a.cheese.org": auth("below:s"), "cheese.org": auth("itself:s") } };

    assert.equal(userFor(config, "cheese.org/brie"), "itself");
  });

  it("takes an app's own before everybody's, and gives them to nobody else", () => {
    const config = {
      auths: { "cheese.org": auth("everybody:s") },
      apps: { dairy: { auths: { "cheese.org": auth("dairy:s"), "wine.org": auth("dairy-wine:s") } } },
    };

    assert.equal(userFor(config, "cheese.org/brie", "dairy"), "dairy");
    assert.equal(userFor(config, "wine.org/red", "dairy"), "dairy-wine");
    assert.equal(userFor(config, "cheese.org/brie", "bakery"), "everybody");
    assert.equal(userFor(config, "wine.org/red", "bakery"), undefined);
    assert.equal(userFor({ apps: config.apps }, "cheese.org/brie", "__proto__"), undefined);
  });

  it("reads user and password, tokens, and Docker's oldest form", () => {
    const config = {
      auths: {
        "a.org": auth("user:with:colons"),
        "b.org": { username: "u", password: "p" },
        "c.org": { identitytoken: "t" },
        "d.org": { registrytoken: "r" },
        "e.org": {},
      },
    };
    const find = (image: string) => read(config).find(parseImage(image), "");

    assert.deepEqual(find("a.org/x"), { username: "user", password: "with:colons", serveraddress: "a.org" });
    assert.deepEqual(find("b.org/x"), { username: "u", password: "p", serveraddress: "b.org" });
    assert.deepEqual(find("c.org/x"), { identitytoken: "t", serveraddress: "c.org" });
    assert.deepEqual(find("d.org/x"), { registrytoken: "r" });
    assert.equal(find("e.org/x"), undefined);
    assert.equal(userFor({ "a.org": auth("old:s"), HttpHeaders: { A: "b" } }, "a.org/x"), "old");
  });

  it("says what it cannot read and where, and never a secret", () => {
    const broken: Readonly<Record<string, RegExp>> = {
      '{"auths": {"a.org": {"auth": "emmental':
        /^Cannot read registry credentials in FN_DOCKER_AUTH: expected the JSON/,
      '{"auths": {"a.org": {"auth": "emmental"}}}': /FN_DOCKER_AUTH: auth of a.org: expected user:password in base64$/,
      '{"auths": {"a.org": {"password": 7}}}': /FN_DOCKER_AUTH: auths.a.org.password: /,
      '{"apps": {"dairy": {"a.org": {"auth": "emmental"}}}}': /FN_DOCKER_AUTH: apps.dairy.auths: /,
    };
    for (const [text, message] of Object.entries(broken)) {
      assert.throws(
        () => parseRegistryAuths(text, "FN_DOCKER_AUTH"),
        (error) => error instanceof Error && message.test(error.message) && !error.message.includes("emmental"),
        text,
      );
    }
  });
});
