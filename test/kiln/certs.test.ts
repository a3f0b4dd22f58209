import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { loadPki } from "../../core/pki.ts";
import { certs } from "../../kiln/certs.ts";
import { pkiFiles } from "../../kiln/pki-files.ts";
import { handshake } from "../../kiln/testing/tls-handshake.ts";

let parent = "";

before(async () => {
  parent = await mkdtemp(join(tmpdir(), "kiln-certs-"));
});
after(() => rm(parent, { recursive: true }));

describe("certs", () => {
  it("makes what two machines need to trust each other", async () => {
    const { directory, run } = await setUp();

    await run("--out", "a", "--name", "gateway-1.example", "--role", "gateway", "--ca", "ca");
    await run("--out", "b", "--name", "runner-1.example", "--role", "runner", "--ca", "ca");

    const gateway = await loadPki(pkiFiles(join(directory, "a"), "gateway-1.example"));
    const runner = await loadPki(pkiFiles(join(directory, "b"), "runner-1.example"));
    const { serverNames, clientNames } = await handshake(runner, gateway, "runner-1.example");
    assert.equal(serverNames[0], "runner-1.example");
    assert.deepEqual(clientNames, ["gateway-1.example"]);
    assert.deepEqual((await readdir(join(directory, "b"))).toSorted(), [
      "ca.crt",
      "runner-1.example.crt",
      "runner-1.example.key",
    ]);
    assert.equal((await stat(join(directory, "ca/ca.key"))).mode & 0o777, 0o600);
    assert.equal((await stat(join(directory, "b/runner-1.example.key"))).mode & 0o777, 0o600);
  });

  it("prints the settings to use", async () => {
    const { directory, run } = await setUp();

    const printed = await run("--out", "pki", "--name", "runner-1", "--role", "runner");

    assert.match(printed, new RegExp(`Made a new authority in ${directory}/pki\\.`));
    assert.ok(printed.includes(`FN_NODE_CERT=${directory}/pki/runner-1.crt\n`));
    assert.ok(printed.includes(`FN_NODE_CERT_KEY=${directory}/pki/runner-1.key\n`));
    assert.ok(printed.includes(`FN_NODE_CERT_AUTHORITY=${directory}/pki/ca.crt\n`));
    assert.ok(printed.includes("for the gateway:\n  FN_RUNNER_CERT_NAME=runner-1\n"));
  });

  it("uses the authority that is there, and replaces a certificate of the same name", async () => {
    const { directory, run } = await setUp();
    const args = ["--out", "pki", "--name", "gateway-1", "--role", "gateway"];
    await run(...args);
    const before = await readFile(join(directory, "pki/ca.crt"), "utf8");

    const printed = await run(...args, "--days", "30");

    const { validToDate } = new X509Certificate(await readFile(join(directory, "pki/gateway-1.crt")));
    assert.doesNotMatch(printed, /new authority/);
    assert.equal(await readFile(join(directory, "pki/ca.crt"), "utf8"), before);
    assert.equal(Math.round((validToDate.getTime() - Date.now()) / 86_400_000), 30);
  });

  it("leaves certificates of another authority alone", async () => {
    const { directory, run } = await setUp();
    await run("--out", "pki", "--name", "runner-1", "--role", "runner");

    await assert.rejects(
      run("--out", "pki", "--name", "runner-2", "--role", "runner", "--ca", "other"),
      /^Error: Cannot write to ".*\/pki": its ca\.crt is of another authority; choose another --out, or the --ca it is from$/,
    );
    assert.equal((await readdir(join(directory, "pki"))).includes("runner-2.crt"), false);
  });

  it("does not make a second authority beside half of one", async () => {
    const { directory, run } = await setUp();
    await run("--out", "pki", "--name", "runner-1", "--role", "runner");
    await rm(join(directory, "pki/ca.key"));

    await assert.rejects(
      run("--out", "pki", "--name", "runner-2", "--role", "runner"),
      /^Error: Cannot use the authority in ".*\/pki": ".*\/ca\.key" is missing beside ".*\/ca\.crt"$/,
    );
  });

  const valid = ["--out", "pki", "--name", "runner-1", "--role", "runner"];
  const mistakes: Record<string, { readonly args: readonly string[]; readonly says: RegExp }> = {
    "no directory": { args: valid.slice(2), says: /^Error: --out is missing: the directory to write to$/ },
    "no name": { args: [...valid.slice(0, 2), ...valid.slice(4)], says: /^Error: --name is missing/ },
    "no role": { args: valid.slice(0, 4), says: /^Error: --role is missing, expected gateway or runner$/ },
    "another role": {
      args: [...valid, "--role", "server"],
      says: /^Error: --role is "server", expected gateway or runner$/,
    },
    "a name that is no host name": { args: [...valid, "--name", "a b"], says: /Cannot issue a certificate for "a b"/ },
    "a path for a name": { args: [...valid, "--name", "../x"], says: /Cannot issue a certificate for "\.\.\/x"/ },
    "the authority's name": {
      args: [...valid, "--name", "ca"],
      says: /^Error: --name is "ca", which is the authority's own$/,
    },
    "a wrong number of days": {
      args: [...valid, "--days", "0"],
      says: /^Error: --days is "0", expected a whole number/,
    },
    "another option": { args: [...valid, "--host", "x"], says: /Unknown option '--host'/ },
    "another argument": { args: [...valid, "x"], says: /Unexpected argument 'x'/ },
  };

  for (const [what, { args, says }] of Object.entries(mistakes)) {
    it(`refuses ${what}`, async () => {
      const { run } = await setUp();

      await assert.rejects(run(...args), says);
    });
  }
});

async function setUp(): Promise<{ directory: string; run: (...args: string[]) => Promise<string> }> {
  const directory = await mkdtemp(join(parent, "certs-"));
  const run = async (...args: string[]) => {
    let printed = "";
    await certs(args, directory, (text) => (printed += text));
    return printed;
  };
  return { directory, run };
}
