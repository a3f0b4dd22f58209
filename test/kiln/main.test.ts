import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";

const clone = join(import.meta.dirname, "../..");

function kiln(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  return spawnSync(process.execPath, [...process.execArgv, join(clone, "kiln/main.ts"), ...args], {
    cwd: clone,
    env: { ...process.env, ...env },
    encoding: "utf8",
  });
}

describe("kiln", () => {
  it("explains itself and each command", () => {
    assert.match(kiln(["--help"]).stdout, /npm start --[^]*npm run kiln -- certs/);
    assert.match(kiln(["certs", "--help"]).stdout, /^npm run kiln -- certs --out DIR --name NAME/);
    assert.equal(kiln(["start", "--help"]).status, 0);
  });

  it("names the command that was meant", () => {
    const { status, stderr } = kiln(["cert"]);

    assert.equal(status, 2);
    assert.equal(stderr, 'Unknown command "cert", did you mean "certs"?\n');
  });

  it("says in one line what is wrong, and fails", () => {
    const { status, stderr } = kiln(["certs", "--out", "x"]);

    assert.equal(status, 1);
    assert.equal(stderr, "--name is missing: the identity that the certificate carries\n");
  });

  it("takes a path from where npm was called, not from where npm runs it", async (t) => {
    const directory = await mkdtemp(join(tmpdir(), "kiln-main-"));
    t.after(() => rm(directory, { recursive: true }));
    const npm = { INIT_CWD: directory, npm_package_json: join(clone, "package.json") };

    assert.equal(kiln(["certs", "--out", "pki", "--name", "runner-1", "--role", "runner"], npm).status, 0);
    assert.ok(existsSync(join(directory, "pki/runner-1.crt")));
  });
});
