import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";

import { CallError } from "../../../core/call-error.ts";
import { pause, systemClock } from "../../../core/clock.ts";
import { callFor } from "../../../kiln/testing/call-for.ts";
import { offerTo } from "../../../kiln/testing/offer.ts";
import { processRunner } from "../../../kiln/testing/process-runner.ts";
import type { Runner } from "../../../runner/runner.ts";
import type { StatusOptions } from "../../../runner/status/check-status.ts";

const runnerWith = (status: StatusOptions, memoryMiB = 1_024) =>
  processRunner({ status, resources: { memoryMiB, cpuMillis: 2_000 } });

async function check(runner: Runner, body: object = {}) {
  const found = await runner.check(Buffer.from(JSON.stringify(body)), AbortSignal.timeout(20_000));
  assert.ok(found !== undefined);
  return found;
}

/** Which process of the probe answered. */
const instanceOf = (details: Uint8Array) =>
  (JSON.parse(Buffer.from(details).toString()) as { probe: { instance: string } }).probe.instance;

describe("a runner's status checks", { timeout: 60_000 }, () => {
  it("are none where the operator gave none", async () => {
    await using runner = await runnerWith({});

    assert.equal(await runner.check(Buffer.from("{}"), AbortSignal.timeout(1_000)), undefined);
  });

  it("run the status image with the request's body as a call, and tell its answer and what each phase took", async () => {
    await using runner = await runnerWith({ image: "probe" });
    const before = Date.now();

    const found = await check(runner, { echoContent: "ping" });

    assert.equal(found.failure, undefined);
    assert.equal(
      (JSON.parse(found.details.toString()) as { request: { echoContent: string } }).request.echoContent,
      "ping",
    );
    assert.match(found.callId, /^[0-9A-HJKMNP-TV-Z]{26}$/);
    assert.ok(
      found.createdAtMs >= before && found.completedAtMs >= found.createdAtMs && found.completedAtMs <= Date.now(),
    );
    const { waitMs, startMs, initMs, runMs } = found.timings;
    assert.ok(startMs > 0 && initMs > 0 && runMs > 0 && waitMs >= startMs + initMs, JSON.stringify(found.timings));
  });

  it("go all the way again once their answer is forgotten: another container each time", async () => {
    await using runner = await runnerWith({ image: "probe" });

    const first = await check(runner);
    const cached = await check(runner);
    await pause(systemClock, 1_600);
    const second = await check(runner);

    assert.deepEqual([first.cached, cached.cached, second.cached], [false, true, false]);
    assert.equal(cached.callId, first.callId);
    assert.notEqual(second.callId, first.callId);
    assert.notEqual(instanceOf(second.details), instanceOf(first.details));
  });

  it("fail with the call's own code, or as the image says of itself", async () => {
    await using runner = await runnerWith({ image: "probe" });

    const failed = await check(runner, { httpStatus: 502 });
    const said = await check(runner, { responseCode: 503 });
    const exits = await check(runner, { isCrash: true });

    assert.deepEqual([failed.failure?.code, failed.failure?.status], ["function_failed", 502]);
    assert.deepEqual([said.failure?.code, said.failure?.status], [undefined, 503]);
    assert.deepEqual([exits.failure?.code, exits.failure?.status], ["function_response", 502]);
  });

  it("ask the operator's health checks, and run no image once one of them fails", async () => {
    let fails: Error | undefined;
    const healthChecks = [
      () => ({ disk: "ok" }),
      async () => {
        if (fails !== undefined) throw fails;
        return { custom: "works" };
      },
    ];
    await using runner = await runnerWith({ image: "probe", healthChecks });

    assert.deepEqual((await check(runner, { n: 1 })).custom, { disk: "ok", custom: "works" });
    fails = new Error("disk full");
    const failed = await check(runner, { n: 2 });
    fails = new CallError("request_limit_exceeded", "450 of them", { status: 450 });
    const coded = await check(runner, { n: 3 });

    assert.deepEqual([failed.callId, failed.details.length], ["", 0]);
    // A failure without a code of its own is a 500 all the same.
    assert.deepEqual([failed.failure?.code, failed.failure?.status], ["hook_failed", 500]);
    assert.match(failed.failure?.message ?? "", /disk full/);
    assert.deepEqual([coded.failure?.code, coded.failure?.status], ["request_limit_exceeded", 450]);
  });

  it("fail where a health check says what cannot be told", async () => {
    const healthChecks = [() => 7 as unknown as Record<string, string>];
    await using runner = await runnerWith({ healthChecks });

    const { failure } = await check(runner);

    assert.match(failure?.message ?? "", /did not return an object of strings/);
  });

  it("look at the network barrier each time", async (t) => {
    const directory = await mkdtemp(join(tmpdir(), "kiln-barrier-"));
    t.after(() => rm(directory, { recursive: true }));
    const networkBarrier = join(directory, "network-is-up");
    await using runner = await runnerWith({ networkBarrier });

    assert.equal((await check(runner, { n: 1 })).networkDisabled, true);
    await writeFile(networkBarrier, "");
    assert.equal((await check(runner, { n: 2 })).networkDisabled, false);
  });

  it("have their own room on a runner that is full, and are no gateway's calls", async () => {
    // What is set aside, and exactly one call's.
    await using runner = await runnerWith({ image: "hello" }, 128 + 128);
    const busy = callFor("probe", { fnId: "busy", headers: [["Probe-Control", '{"sleepTime":1500}']] });
    const running = offerTo(runner, busy);
    await running.said("accepted");
    const other = await offerTo(runner, callFor("probe", { fnId: "other" })).outcome;
    assert.equal(other.refused?.reason.code, "server_busy");

    const found = await check(runner);

    assert.equal(found.failure, undefined, found.failure?.message);
    await running.outcome;
    // A call that was refused, for another runner to take, was not handled here.
    assert.deepEqual(runner.status(), { draining: false, active: 0, received: 2, handled: 1 });
  });

  it("reserve their image for themselves, by whatever name it is asked for, and no container gives way to it", async () => {
    // What is set aside, and exactly one container's.
    await using runner = await runnerWith({ image: "probe" }, 128 + 128);
    await check(runner);
    const before = await offerTo(runner, callFor("hello")).outcome;

    for (const image of ["probe", "probe:latest", "kiln-example-probe", "ghcr.io/me/probe:v7"]) {
      const { finish } = await offerTo(runner, callFor(image)).outcome;
      assert.ok(finish?.ok === false, image);
      assert.equal(finish.code, "image_reserved", image);
    }
    const hello = await offerTo(runner, callFor("hello")).outcome;
    assert.equal(hello.finish?.ok, true);
    assert.equal(hello.containerId, before.containerId);
  });

  it("are not made while the runner drains", async () => {
    const runner = await runnerWith({ image: "probe" });
    const draining = runner[Symbol.asyncDispose]();

    assert.equal(await runner.check(Buffer.from("{}"), AbortSignal.timeout(1_000)), undefined);
    await draining;
  });
});
