import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";

import { writePki } from "../../kiln/pki-files.ts";
import { createAuthority, issue } from "../../kiln/pki.ts";
import { processRunner, served, type ServedRunner } from "../../kiln/testing/process-runner.ts";
import { readmeCommand } from "../../kiln/testing/readme-command.ts";
import { spawned } from "../../kiln/testing/spawned.ts";

const FUNCTIONS = "apps: [{ name: examples, fns: [{ id: hello, name: hello, image: hello }] }]\n";

describe("the gateway on Deno", () => {
  let directory = "";
  let runner: ServedRunner;
  /** The README's command, with this test's files and ports in the place of the README's. */
  let command = "";
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "kiln-deno-"));
    const authority = await createAuthority();
    runner = await served(await processRunner(), await issue(authority, { name: "kiln-runner", role: "runner" }));
    await writePki(directory, "kiln-gateway", await issue(authority, { name: "kiln-gateway", role: "gateway" }));
    await writeFile(join(directory, "functions.yaml"), FUNCTIONS);
    const shown = await readmeCommand("deno run");
    command = shown
      .replaceAll("gateway-pki", directory)
      .replaceAll(/(?<=[=,])functions\.yaml/g, join(directory, "functions.yaml"))
      .replaceAll("192.0.2.11:9190", runner.address)
      .replaceAll("127.0.0.1:8080", "127.0.0.1:0");
  });
  after(async () => {
    await runner[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });
  const env = () => ({
    ...process.env,
    FN_PORT: "0",
    NO_COLOR: "1",
    PATH: `${resolve("node_modules/.bin")}:${process.env["PATH"]}`,
  });

  it("serves and places calls with the permissions that the README lists", async () => {
    await using gateway = await spawned(command, env());

    const response = await fetch(`http://${gateway.address}/invoke/hello`, { method: "POST", body: '{"name":"Deno"}' });

    assert.deepEqual(await response.json(), { message: "Hello, Deno" });
    assert.equal(response.status, 200);
  });

  for (const flag of ["--allow-env", "--allow-read", "--allow-net"]) {
    it(`needs ${flag}`, async () => {
      const without = command.replace(new RegExp(`${flag}=\\S+ `), "");
      assert.notEqual(without, command);

      await assert.rejects(spawned(without, env()), new RegExp(`Requires ${flag.slice(8)} access|NotCapable`));
    });
  }
});
