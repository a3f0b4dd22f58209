import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { Call } from "../../core/call.ts";
import { overrideCall } from "../../gateway/overrider.ts";
import { withPlacer, withRunnerGroup, withRunnerLabels } from "../../gateway/placement.ts";
import { createPlacer, type PlacerName } from "../../gateway/runnerpool/placers/create-placer.ts";
import { callFor } from "../../kiln/testing/call-for.ts";
import { errorBody } from "../../kiln/testing/error-body.ts";
import { answers, someTurns } from "../../kiln/testing/fake-runner.ts";
import { gatewayFor } from "../../kiln/testing/gateway-for.ts";
import { VirtualClock } from "../../kiln/testing/virtual-clock.ts";

/** A gateway of one fake runner, whose overrider is this. */
function gatewayWith(override: (call: Call) => Call, clock = new VirtualClock()) {
  const timeouts = { timeoutMs: 1_000, detachedTimeoutMs: 1_000, retryDelayMs: 10 };
  const placer = createPlacer({ placer: "naive", clock, ...timeouts });
  const limits = { retryAfterSeconds: 7 };
  return { clock, ...gatewayFor(answers("here"), { placer, clock, limits, overriders: [overrideCall(override)] }) };
}

describe("withRunnerGroup", () => {
  it("has a call run on a runner of the group", async () => {
    const { runner, invoke } = gatewayWith((call) => withRunnerGroup(call, "gpu"));
    runner.labels = { group: "gpu", zone: "a" };

    assert.equal(await (await invoke()).text(), "here");
  });

  it("says after the wait that no runner is of the group, and when to try again", async () => {
    const { clock, runner, invoke } = gatewayWith((call) => withRunnerGroup(call, "gpu"));
    const answering = invoke();

    const response = await clock.until(answering);

    assert.equal(response.status, 503);
    assert.equal(response.headers.get("retry-after"), "7");
    const { code, message } = await errorBody(response);
    assert.equal(code, "server_busy");
    assert.match(message, /in 1000 ms \(the pool has no runner with group=gpu\)/);
    assert.equal(runner.offered.length, 0);
  });

  it("lets a call wait for the group without holding up those that may run anywhere", async () => {
    let group = true;
    const { invoke } = gatewayWith((call) => (group ? withRunnerGroup(call, "gpu") : call));
    void invoke();
    await someTurns();
    group = false;

    assert.equal((await invoke()).status, 200);
  });
});

describe("withRunnerLabels", () => {
  it("asks for all of them, with those of before", () => {
    const call = withRunnerLabels(withRunnerLabels(callFor("fn"), { zone: "a" }), { disk: "ssd" });

    assert.deepEqual(call.placement?.labels, { zone: "a", disk: "ssd" });
  });
});

describe("withPlacer", () => {
  it("chooses for one call, whatever its gateway has", async () => {
    const { invoke } = gatewayWith((call) => withPlacer(call, "ch"));

    assert.equal((await invoke()).status, 200);
  });

  it("is the operator's mistake where there is no such placer, and names what was meant", async () => {
    const { invoke } = gatewayWith((call) => withPlacer(call, "warm-frist" as PlacerName));

    const response = await invoke();

    assert.equal(response.status, 500);
    const { code, message } = await errorBody(response);
    assert.equal(code, "override_invalid");
    assert.equal(message, `Operator's middleware asked for placer "warm-frist", did you mean "warm-first"`);
  });

  it("is checked like every field of a call", async () => {
    const { invoke } = gatewayWith((call) => ({ ...call, placement: { labels: { zone: 1 } } }) as unknown as Call);

    const { message } = await errorBody(await invoke());

    assert.match(message, /placement to .*, expected what withPlacer and withRunnerLabels make/);
  });
});
