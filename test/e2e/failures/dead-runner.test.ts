import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { createAuthority } from "../../../kiln/pki.ts";
import { eventually } from "../../../kiln/testing/eventually.ts";
import { gatewayProcess, runnerProcess } from "../../../kiln/testing/main-process.ts";
import { assertFailure, callProbe, probeFunctions } from "../../../kiln/testing/probe-calls.ts";

const functions = probeFunctions({ probe: {}, "slow-start": { config: { ENABLE_INIT_DELAY_MSEC: "700" } } });

describe("a runner that is killed (gateway reference 1.15)", { timeout: 60_000 }, () => {
  it("while it runs a call: 502 runner_lost, and its functions die with it (unlike Fn: a 500)", async (t) => {
    const authority = await createAuthority();
    await using runner = await runnerProcess(authority, "runner-1");
    await using gateway = await gatewayProcess(authority, [`runner-1=${runner.address}`], functions);
    const system = { url: `http://${gateway.address}` };
    const { probe } = (await (await callProbe(system, "probe")).json()) as { readonly probe: { readonly pid: number } };
    const counted = await mkdtemp(join(tmpdir(), "kiln-runs-"));
    t.after(() => rm(counted, { recursive: true }));
    const calling = callProbe(system, "probe", { countDir: counted, sleepTime: 20_000 });
    await eventually(async () => assert.equal((await readdir(counted)).length, 1, "the function has begun"));

    await runner.kill();

    const message = /^Lost the runner while it ran the call: Runner 127.0.0.1:\d+ cannot be reached: /;
    await assertFailure(await calling, { status: 502, code: "runner_lost", component: "runner", message });
    await eventually(() => assert.throws(() => process.kill(probe.pid, 0), { code: "ESRCH" }));
  });

  it("while it starts a container: the call waits for it to come back, and runs once", async () => {
    const authority = await createAuthority();
    await using one = await runnerProcess(authority, "runner-1");
    await using gateway = await gatewayProcess(authority, [`runner-1=${one.address}`], functions);
    const calling = callProbe({ url: `http://${gateway.address}` }, "slow-start", { isEmptyBody: true });
    await sleep(300);

    await one.kill();
    await using again = await runnerProcess(authority, "runner-1", one.address.split(":")[1]);

    const response = await calling;
    assert.equal(response.status, 200, await response.text());
    assert.equal(response.headers.get("probe-served"), "1");
    assert.equal(again.address, one.address);
  });
});
