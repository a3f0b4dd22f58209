import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { after, describe, it } from "node:test";

import { createLog } from "../../core/log.ts";
import { watchPki } from "../../core/pki-watch.ts";
import { createAuthority, issue } from "../../kiln/pki.ts";
import { eventually } from "../../kiln/testing/eventually.ts";
import { believing, pkiFolder } from "../../kiln/testing/pki-folder.ts";

const authority = await createAuthority();
const other = await createAuthority();
const make = () => issue(authority, { name: "kiln-runner", role: "runner" });
const first = await make();
const second = await make();

// Deno ends a test whose event loop is empty, and polling holds nothing open.
const alive = setInterval(() => {}, 1_000);
after(() => clearInterval(alive));

async function watched() {
  const folder = await pkiFolder(first);
  const lines: string[] = [];
  const pki = await watchPki(folder.files, { pollMs: 10, log: createLog({ write: (line) => void lines.push(line) }) });
  const changes: string[] = [];
  pki.onChange(() => changes.push(pki.current.cert));
  const dispose = async () => {
    await pki[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  };
  return { folder, pki, changes, lines, [Symbol.asyncDispose]: dispose };
}

describe("watchPki", () => {
  it("says which settings name the files, where none are named", async () => {
    const missing = watchPki({ cert: "", key: "", ca: "" });

    await assert.rejects(missing, /FN_NODE_CERT, FN_NODE_CERT_KEY and FN_NODE_CERT_AUTHORITY name their files/);
  });

  it("takes new certificates once all three files fit", async () => {
    await using it = await watched();
    assert.deepEqual(it.pki.current, first);

    await writeFile(it.folder.files.cert, second.cert);
    await eventually(() => assert.match(it.lines.join(""), /Certificates are broken.*it is not the key of/));
    assert.deepEqual(it.pki.current, first, "half of a new pair changes nothing");

    await writeFile(it.folder.files.key, second.key);
    await eventually(() => assert.deepEqual(it.pki.current, second));
    assert.deepEqual(it.changes, [second.cert]);
  });

  it("takes a bundle of several authorities", async () => {
    await using it = await watched();
    const both = believing(second, authority, other);

    await it.folder.write(both);

    await eventually(() => assert.deepEqual(it.pki.current, both));
  });

  const faults: readonly [string, (files: { cert: string; key: string; ca: string }) => Promise<void>, RegExp][] = [
    ["a certificate that is none", ({ cert }) => writeFile(cert, "nonsense"), /own\.crt.*expected a PEM certificate/],
    ["a key that is none", ({ key }) => writeFile(key, "nonsense"), /own\.key.*it is not the key of/],
    ["an empty bundle", ({ ca }) => writeFile(ca, ""), /ca\.crt.*expected a PEM certificate/],
    [
      "a bundle with one broken certificate",
      ({ ca }) => writeFile(ca, `${authority.cert}${other.cert.replace("MII", "AAA")}`),
      /ca\.crt.*expected a PEM certificate/,
    ],
    ["a file that is gone", ({ key }) => rm(key), /Cannot read.*own\.key/],
  ];
  for (const [what, spoil, line] of faults) {
    it(`keeps what is in force, and says so, for ${what}`, async () => {
      await using it = await watched();

      await spoil(it.folder.files);

      await eventually(() => assert.match(it.lines.join(""), line));
      assert.deepEqual(it.pki.current, first);
      assert.equal(it.lines.length, 1, "said once, not at every look");

      await it.folder.write(second);
      await eventually(() => assert.deepEqual(it.pki.current, second));
    });
  }

  it("does not start with broken files", async () => {
    await using folder = await pkiFolder({ ...first, key: second.key });

    await assert.rejects(watchPki(folder.files), /Cannot use ".*own\.key": it is not the key of ".*own\.crt"/);
  });
});
