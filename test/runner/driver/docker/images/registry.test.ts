import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { after, before, describe, it, type TestContext } from "node:test";

import { pack } from "tar-stream";

import { CallError } from "../../../../../core/call-error.ts";
import { dockerRegistry, registryOrSkip, type DockerRegistry } from "../../../../../kiln/testing/docker-registry.ts";
import { dockerOrSkip } from "../../../../../kiln/testing/docker.ts";
import { engineClient } from "../../../../../kiln/testing/engine-client.ts";
import { createImages, type ImageOptions } from "../../../../../runner/driver/docker/images/images.ts";
import { parseRegistryAuths } from "../../../../../runner/driver/docker/images/registry-auths.ts";

const { engine, skip: noDocker } = await dockerOrSkip();
const client = engineClient(engine);
const skip = noDocker === false ? await registryOrSkip() : noDocker;
const forever = new AbortController().signal;

/** A new image of a few bytes, of which nobody knows. */
async function tinyImage(): Promise<string> {
  const [repo, tag] = ["kiln-test-tiny", randomBytes(6).toString("hex")];
  const layer = pack();
  layer.entry({ name: "cheese" }, tag);
  layer.finalize();
  await text(await engine.importImage(Readable.from(layer), { repo, tag }));
  return `${repo}:${tag}`;
}

const remove = (image: string) =>
  engine
    .getImage(image)
    .remove({ force: true })
    .catch(() => {});

/** Pushes a new image; it is nowhere else afterwards. */
async function pushed(t: TestContext, registry: DockerRegistry, name: string): Promise<string> {
  const source = await tinyImage();
  const image = await registry.push(source, name);
  await remove(source);
  t.after(() => remove(image));
  return image;
}

const auth = Buffer.from("cheese:emmental").toString("base64");
const requested = (image: string, appName: string, registryToken = "") => ({ image, appName, registryToken });
const unauthorized = { code: "image_pull_failed", status: 401, message: /Failed to pull image/ } as const;

describe("images of a registry that asks for a password", { skip, timeout: 60_000 }, () => {
  let registry: DockerRegistry;
  before(async () => void (registry = await dockerRegistry(engine, "password")));
  after(() => registry[Symbol.asyncDispose]());

  /** The registry's credentials are the app's of the name `dairy`, and nobody else's. */
  const imagesFor = (options: ImageOptions = {}) => {
    const config = { apps: { dairy: { auths: { [registry.host]: { auth } } } } };
    return createImages(client, {
      auths: parseRegistryAuths(JSON.stringify(config), "the test"),
      ...options,
    });
  };

  it("are pulled with the app's own credentials, and by no other app", async (t) => {
    const image = await pushed(t, registry, "private/brie:1");
    await using images = imagesFor();

    await assert.rejects(images.prepare(requested(image, "bakery"), forever), unauthorized);
    using _held = await images.prepare(requested(image, "dairy"), forever);
  });

  it("are not usable without the right to pull them, though they are here already (Fn's defect 12)", async (t) => {
    const image = await pushed(t, registry, "private/gouda:1");
    await using images = imagesFor();
    using _held = await images.prepare(requested(image, "dairy"), forever);

    await assert.rejects(images.prepare(requested(image, "bakery"), forever), unauthorized);
    await assert.rejects(images.prepare(requested(image, "bakery", "no token"), forever), unauthorized);

    using _again = await images.prepare(requested(image, "dairy"), forever);
  });

  it("are not usable under another name either, which anybody on the machine may have given them", async (t) => {
    const image = await pushed(t, registry, "private/roquefort:1");
    await using images = imagesFor();
    using _held = await images.prepare(requested(image, "dairy"), forever);
    await engine.getImage(image).tag({ repo: "kiln-test-alias", tag: "roquefort" });
    t.after(() => remove("kiln-test-alias:roquefort"));

    // Nobody has pushed that name anywhere.
    await assert.rejects(images.prepare(requested("kiln-test-alias:roquefort", "bakery"), forever), {
      code: "image_pull_failed",
    });
    using _other = await images.prepare(requested("kiln-test-alias:roquefort", "dairy"), forever);
  });

  it("are usable for a while after the registry has gone, by whom it has let pull them", async (t) => {
    await using mortal = await dockerRegistry(engine, "password");
    const image = await pushed(t, mortal, "private/edam:1");
    const config = { apps: { dairy: { auths: { [mortal.host]: { auth } } } } };
    const auths = parseRegistryAuths(JSON.stringify(config), "the test");
    await using images = imagesFor({ auths });
    await using forgetful = imagesFor({ auths, rightMs: 0 });
    using _held = await images.prepare(requested(image, "dairy"), forever);

    await mortal[Symbol.asyncDispose]();

    using _still = await images.prepare(requested(image, "dairy"), forever);
    const unproved = { code: "image_pull_failed", status: 502, message: /^Cannot find out whether image .*refused/ };
    await assert.rejects(images.prepare(requested(image, "bakery"), forever), unproved);
    await assert.rejects(forgetful.prepare(requested(image, "dairy"), forever), unproved);
  });

  it("that hangs are given up in time", async (t) => {
    await using hung = await dockerRegistry(engine);
    const image = await pushed(t, hung, "brie:1");
    await using images = createImages(client, { pullTimeoutMs: 300 });

    hung.pause();

    await assert.rejects(images.prepare(requested(image, "dairy"), forever), {
      code: "image_pull_timeout",
      status: 504,
      message: /FN_HOT_PULL_TIMEOUT_MSECS$/,
    });
    hung.resume();
  });
});

describe("images of a registry that asks for tokens", { skip, timeout: 60_000 }, () => {
  let registry: DockerRegistry;
  before(async () => void (registry = await dockerRegistry(engine, "token")));
  after(() => registry[Symbol.asyncDispose]());

  it("are pulled, and used once they are here, with a token for them and with no other", async (t) => {
    const image = await pushed(t, registry, "private/brie:1");
    await using images = createImages(client, { rightMs: 0 });
    const withToken = (repository: string) => requested(image, "dairy", registry.token(repository));

    await assert.rejects(images.prepare(withToken("private/gouda"), forever), { code: "image_pull_failed" });
    using _pulled = await images.prepare(withToken("private/brie"), forever);
    using _used = await images.prepare(withToken("private/brie"), forever);
    await assert.rejects(images.prepare(withToken("private/gouda"), forever), { code: "image_pull_failed" });
    await assert.rejects(images.prepare(requested(image, "dairy"), forever), { code: "image_pull_failed" });
  });
});

describe("images of an open registry", { skip, timeout: 60_000 }, () => {
  let registry: DockerRegistry;
  before(async () => void (registry = await dockerRegistry(engine)));
  after(() => registry[Symbol.asyncDispose]());

  it("are everybody's", async (t) => {
    const image = await pushed(t, registry, "brie:1");
    await using images = createImages(client, { allowLocal: false });

    using _pulled = await images.prepare(requested(image, "dairy"), forever);
    using _used = await images.prepare(requested(image, "bakery"), forever);
  });

  it("are pulled anew where what is here is there no more", async (t) => {
    const image = await pushed(t, registry, "moving:1");
    await using images = createImages(client, { rightMs: 0 });
    using _old = await images.prepare(requested(image, "dairy"), forever);
    const before = (await engine.getImage(image).inspect()).Id;
    const newer = await tinyImage();
    t.after(() => remove(newer));
    await engine.getImage(image).remove();
    const other = await registry.push(newer, "moving:1");

    using _new = await images.prepare(requested(other, "dairy"), forever);

    assert.notEqual((await engine.getImage(image).inspect()).Id, before);
  });
});

describe("images of no registry", { skip, timeout: 60_000 }, () => {
  it("are used where that is allowed, and where the operator loaded them", async (t) => {
    const image = await tinyImage();
    t.after(() => remove(image));
    const { Id } = await engine.getImage(image).inspect();
    await using lenient = createImages(client, { allowLocal: true });
    await using strict = createImages(client, { allowLocal: false });
    await using loaded = createImages(client, { allowLocal: false, everybodys: new Set([Id]) });

    using _free = await lenient.prepare(requested(image, "dairy"), forever);
    using _everybodys = await loaded.prepare(requested(image, "dairy"), forever);
    await assert.rejects(strict.prepare(requested(image, "dairy"), forever), (error) => {
      assert.ok(error instanceof CallError);
      assert.equal(error.code, "image_pull_failed");
      assert.match(error.message, /is only on this machine, which FN_ALLOW_LOCAL_IMAGES does not allow/);
      return true;
    });
  });
});
