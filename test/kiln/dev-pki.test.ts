import assert from "node:assert/strict";
import { chmod, copyFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { systemClock } from "../../core/clock.ts";
import { loadPki } from "../../core/pki.ts";
import { type DevPki, ensureDevPki } from "../../kiln/dev-pki.ts";
import { createAuthority } from "../../kiln/pki.ts";
import { handshake } from "../../kiln/testing/tls-handshake.ts";

const DAY_MS = 86_400_000;

let parent = "";

before(async () => {
  parent = await mkdtemp(join(tmpdir(), "kiln-pki-"));
});
after(() => rm(parent, { recursive: true }));

describe("ensureDevPki", () => {
  it("makes a set at the first start, for its owner's eyes only, and uses it later", async () => {
    const directory = await newDirectory();

    const first = await ensureDevPki(directory);
    const texts = await readAll(directory);
    const second = await ensureDevPki(directory);

    assert.equal(first.madeBecause, "there were none");
    assert.equal(second.madeBecause, undefined);
    assert.deepEqual(await readAll(directory), texts);
    assert.deepEqual(Object.keys(texts), [
      "ca.crt",
      "ca.key",
      "gateway.crt",
      "gateway.key",
      "runner.crt",
      "runner.key",
    ]);
    for (const key of ["ca.key", "gateway.key", "runner.key"]) assert.equal(await modeOf(join(directory, key)), 0o600);
    assert.equal(await modeOf(directory), 0o700);
    await assertWorks(first);
  });

  it("takes back what others were allowed to read", async () => {
    const directory = await newDirectory();
    await ensureDevPki(directory);
    await chmod(directory, 0o755);
    await chmod(join(directory, "ca.key"), 0o644);

    await ensureDevPki(directory);

    assert.equal(await modeOf(directory), 0o700);
    assert.equal(await modeOf(join(directory, "ca.key")), 0o600);
  });

  it("renews a week before the end, under the same authority", async () => {
    const directory = await newDirectory();
    const at = (days: number) => ({ clock: { ...systemClock, wallMs: () => Date.now() + days * DAY_MS } });
    await ensureDevPki(directory);
    const authority = (await readAll(directory))["ca.crt"];

    const early = await ensureDevPki(directory, at(82));
    const late = await ensureDevPki(directory, at(84));

    assert.equal(early.madeBecause, undefined);
    assert.match(late.madeBecause ?? "", /^gateway\.crt is valid until /);
    assert.equal((await readAll(directory))["ca.crt"], authority);
    assert.equal((await ensureDevPki(directory, at(84))).madeBecause, undefined);
  });

  it("renews everything when the authority ends", async () => {
    const directory = await newDirectory();
    await ensureDevPki(directory);
    const authority = (await readAll(directory))["ca.crt"];

    const later = { ...systemClock, wallMs: () => Date.now() + 3_645 * DAY_MS };
    const { madeBecause } = await ensureDevPki(directory, { clock: later });

    assert.match(madeBecause ?? "", /^ca\.crt is valid until /);
    assert.notEqual((await readAll(directory))["ca.crt"], authority);
  });

  const spoilt: Record<string, { readonly spoil: (directory: string) => Promise<unknown>; readonly says: RegExp }> = {
    "a key of another certificate": {
      spoil: (directory) => copyFile(join(directory, "gateway.key"), join(directory, "runner.key")),
      says: /^runner\.crt or its key cannot be used$/,
    },
    "a certificate in another's place": {
      spoil: async (directory) => {
        await copyFile(join(directory, "gateway.key"), join(directory, "runner.key"));
        await copyFile(join(directory, "gateway.crt"), join(directory, "runner.crt"));
      },
      says: /^runner\.crt does not carry the name kiln-runner$/,
    },
    "a missing file": {
      spoil: (directory) => rm(join(directory, "gateway.crt")),
      says: /^gateway\.crt or its key cannot be used$/,
    },
    "half a file": {
      spoil: (directory) => writeFile(join(directory, "runner.crt"), "-----BEGIN CERTIFICATE-----\nMII"),
      says: /^runner\.crt or its key cannot be used$/,
    },
    "a missing authority's key": {
      spoil: (directory) => rm(join(directory, "ca.key")),
      says: /^ca\.crt or ca\.key cannot be read$/,
    },
    "another authority": {
      spoil: async (directory) => {
        const { cert, key } = await createAuthority();
        await writeFile(join(directory, "ca.crt"), cert);
        await writeFile(join(directory, "ca.key"), key);
      },
      says: /^gateway\.crt is not signed by ca\.crt$/,
    },
  };

  for (const [what, { spoil, says }] of Object.entries(spoilt)) {
    it(`makes anew what does not fit together: ${what}`, async () => {
      const directory = await newDirectory();
      await ensureDevPki(directory);
      await spoil(directory);

      const pki = await ensureDevPki(directory);

      assert.match(pki.madeBecause ?? "", says);
      await assertWorks(pki);
    });
  }

  it("makes one set when several start at once, and leaves nothing beside it", async () => {
    const directory = await newDirectory();

    for (const spoil of [async () => {}, () => rm(join(directory, "runner.key"))]) {
      await spoil();
      const sets = await Promise.all(Array.from({ length: 6 }, () => ensureDevPki(directory)));
      assert.ok(sets.some(({ madeBecause }) => madeBecause !== undefined));
      for (const set of sets) await assertWorks(set);
    }
    assert.deepEqual(await readdir(join(directory, "..")), ["pki"]);
  });

  it("says what is in the way", async () => {
    const directory = await newDirectory();
    await writeFile(join(directory, "../pki"), "");

    await assert.rejects(ensureDevPki(directory), new RegExp(`${directory}`));
  });
});

async function newDirectory(): Promise<string> {
  return join(await mkdtemp(join(parent, "state-")), "pki");
}

async function readAll(directory: string): Promise<Record<string, string>> {
  const names = (await readdir(directory)).toSorted();
  const texts = await Promise.all(names.map((name) => readFile(join(directory, name), "utf8")));
  return Object.fromEntries(names.map((name, index) => [name, texts[index] ?? ""]));
}

async function modeOf(path: string): Promise<number> {
  return (await stat(path)).mode & 0o777;
}

async function assertWorks({ gateway, runner }: DevPki): Promise<void> {
  const { serverNames, clientNames } = await handshake(await loadPki(runner), await loadPki(gateway));
  assert.ok(serverNames.includes("kiln-runner"));
  assert.deepEqual(clientNames, ["kiln-gateway"]);
}
