import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { systemClock } from "../../core/clock.ts";
import { silentLog } from "../../core/log.ts";
import { mtlsRunnerFactory } from "../../gateway/runnerpool/mtls-runner.ts";
import { createAuthority, issue } from "../../kiln/pki.ts";
import { callFor } from "../../kiln/testing/call-for.ts";
import { collectedCall } from "../../kiln/testing/collected-call.ts";
import { processRunner, served } from "../../kiln/testing/process-runner.ts";

describe("calls of one id", () => {
  it("are calls of their own, detached ones too: each has its outcome", async () => {
    const authority = await createAuthority();
    const pki = await issue(authority, { name: "kiln-gateway", role: "gateway" });
    const runnerPki = await issue(authority, { name: "kiln-runner", role: "runner" });
    await using one = await served(await processRunner(), runnerPki);
    const options = { gatewayId: "test", version: "0", allowNoIsolation: true, dialTimeoutMs: 2_000, drainMs: 1_000 };
    const factory = mtlsRunnerFactory({ ...options, clock: systemClock, log: silentLog });
    await using runner = factory(one.address, "kiln-runner", pki);
    const headers = [["Probe-Control", '{"sleepTime":300}']] as const;
    const call = callFor("probe", { type: "detached", headers });
    const calls = [collectedCall(call), collectedCall(call), collectedCall({ ...call, type: "sync" })];

    const offers = await Promise.all(
      calls.map(({ runnerCall }) => runner.tryCall(runnerCall, AbortSignal.timeout(20_000))),
    );
    const answers = await Promise.all(calls.map(({ answer }) => answer));

    assert.ok(offers.every(({ placed }) => placed));
    assert.ok(answers.every(({ finish }) => finish.ok));
    assert.equal(new Set(answers.map(({ containerId }) => containerId)).size, 3);
    assert.deepEqual(one.runner.status(), { draining: false, active: 0, received: 3, handled: 3 });
  });
});
