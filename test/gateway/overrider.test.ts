import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { defineExtension, withExtension, z } from "../../core/extension.ts";
import { overrideCall } from "../../gateway/overrider.ts";
import { errorBody } from "../../kiln/testing/error-body.ts";
import { answers } from "../../kiln/testing/fake-runner.ts";
import { gatewayFor } from "../../kiln/testing/gateway-for.ts";

const cpuShares = defineExtension("cpu-shares", z.coerce.number().int().min(2).max(262_144));

describe("overrideCall", () => {
  it("gives each overrider the call that the one before it left, and the last one's to the runner", async () => {
    const { invoke, runner } = gatewayFor(answers(""), {
      overriders: [
        overrideCall((call) => ({ ...call, memoryMiB: call.memoryMiB * 2 })),
        overrideCall((call) => Promise.resolve({ ...call, memoryMiB: call.memoryMiB + 1 })),
      ],
    });

    assert.equal((await invoke()).status, 200);

    assert.equal(runner.offered[0]?.call.memoryMiB, 257);
  });

  it("sets extensions, which the runner's call has too", async () => {
    const { invoke, runner } = gatewayFor(answers(""), {
      overriders: [
        overrideCall((call, c) => withExtension(call, cpuShares, c.req.header("x-plan") === "gold" ? 1_024 : 256)),
      ],
    });

    await invoke({ headers: { "x-plan": "gold" } });

    assert.deepEqual(runner.offered[0]?.call.extensions, { "cpu-shares": "1024" });
    assert.deepEqual(runner.offered[0]?.extensions, { "cpu-shares": "1024" });
  });

  it("answers 400 naming the extension for a client's bad value", async () => {
    const { invoke, runner } = gatewayFor(answers(""), {
      overriders: [
        overrideCall((call, c) => withExtension(call, cpuShares, cpuShares.parse(c.req.header("x-shares") ?? ""))),
      ],
    });

    const response = await invoke({ headers: { "x-shares": "many" } });

    assert.equal(response.status, 400);
    const body = await errorBody(response);
    assert.equal(body.code, "extension_invalid");
    assert.match(body.message, /"cpu-shares"/);
    assert.equal(runner.offered.length, 0);
  });

  it("answers 500 for an operator's bad constant, and for a nonsense value by field and value", async () => {
    const constant = gatewayFor(answers(""), {
      overriders: [overrideCall((call) => withExtension(call, cpuShares, 1))],
    });
    const nonsense = gatewayFor(answers(""), { overriders: [overrideCall((call) => ({ ...call, memoryMiB: -5 }))] });

    const ofConstant = await constant.invoke();
    const ofNonsense = await nonsense.invoke();

    assert.equal(ofConstant.status, 500);
    assert.equal((await errorBody(ofConstant)).component, "operator");
    assert.equal(ofNonsense.status, 500);
    const body = await errorBody(ofNonsense);
    assert.equal(body.component, "operator");
    assert.equal(body.message, "Operator's middleware set the call's memoryMiB to -5, expected an integer 1 to 8192");
    assert.equal(nonsense.runner.offered.length, 0);
  });

  it("may turn a synchronous call into a detached one", async () => {
    const { invoke } = gatewayFor(answers("unheard"), {
      overriders: [overrideCall((call) => ({ ...call, type: "detached" }))],
    });

    const response = await invoke();

    assert.equal(response.status, 202);
    assert.equal(await response.text(), "");
  });

  it("changes the affinity key where it changes the container, and only there", async () => {
    const perCall = defineExtension("trace", z.string(), { perCall: true });
    const { invoke, runner } = gatewayFor(answers(""), {
      overriders: [
        overrideCall((call, c) => withExtension(call, cpuShares, Number(c.req.header("x-shares")))),
        overrideCall((call) => withExtension(call, perCall, call.id)),
      ],
    });

    await invoke({ headers: { "x-shares": "256" } });
    await invoke({ headers: { "x-shares": "256" } });
    await invoke({ headers: { "x-shares": "512" } });

    const [one, same, other] = runner.offered.map((offer) => offer.affinityKey);
    assert.equal(one, same);
    assert.notEqual(one, other);
  });
});
