import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { writePki } from "../../../kiln/pki-files.ts";
import { createAuthority, issue } from "../../../kiln/pki.ts";
import { logs } from "../../../kiln/runner-commands/logs.ts";
import { status } from "../../../kiln/runner-commands/status.ts";
import { callFor } from "../../../kiln/testing/call-for.ts";
import { eventually } from "../../../kiln/testing/eventually.ts";
import { offerTo } from "../../../kiln/testing/offer.ts";
import { processRunner, served, type ServedRunner } from "../../../kiln/testing/process-runner.ts";

describe("the commands that ask a runner", { timeout: 60_000 }, () => {
  let directory = "";
  let one: ServedRunner;
  let fails = false;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "kiln-commands-"));
    const authority = await createAuthority();
    await writePki(directory, "gateway", await issue(authority, { name: "kiln-gateway", role: "gateway" }));
    await writePki(directory, "stranger", await issue(authority, { name: "stranger", role: "gateway" }));
    const healthChecks = [
      () => {
        if (fails) throw new Error("disk full");
        return { disk: "ok" };
      },
    ];
    const runner = await processRunner({ status: { image: "hello", healthChecks } });
    one = await served(runner, await issue(authority, { name: "kiln-runner", role: "runner" }));
  });
  after(async () => {
    await one[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });

  const ask = async (...args: readonly string[]) => {
    let text = "";
    const code = await status([one.address, "--pki", ".", ...args], directory, (more) => (text += more));
    return { code, text };
  };

  it("status: prints it as JSON, and its exit code says whether the checks failed", async () => {
    const well = await ask("--body", '{"name":"ping"}');
    fails = true;
    const failed = await ask("--body", '{"name":"pong"}');

    const found = JSON.parse(well.text) as { runnerId: string; check: { failed: boolean; details: string } };
    assert.deepEqual([well.code, found.runnerId, found.check.failed], [0, "runner", false]);
    assert.match(found.check.details, /Hello, ping/);
    assert.equal(failed.code, 1);
    assert.match(failed.text, /"code": "hook_failed",\n +"message": ".*disk full"/);
  });

  it("status: says why a runner cannot be asked", async () => {
    await assert.rejects(ask("--as", "stranger"), /connection|closed|reset/i);
    await assert.rejects(ask("--name", "another"), /the certificate is for kiln-runner, .*expected another/);
    await assert.rejects(ask("more"), /Unexpected argument 'more', expected one runner/);
  });

  it("logs: prints lines with their function and call, until it is told to stop", async () => {
    const stop = new AbortController();
    let text = "";
    const args = [one.address, "--pki", directory, "--fn", "probe"];
    const following = logs(args, directory, stop.signal, (more) => (text += more));
    const headers = [["Probe-Control", '{"stderr":["from the probe"]}']] as const;
    const call = () => callFor("probe", { headers });

    // It follows from some moment on, and tells nothing of what was before.
    await eventually(async () => {
      await offerTo(one.runner, call()).outcome;
      assert.match(text, /^20\S+Z probe [0-9A-Z]{26} err from the probe$/m);
    });
    stop.abort();
    await following;
  });
});
