import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { CallError } from "../../../core/call-error.ts";
import { naivePlacer, type NaivePlacerOptions } from "../../../gateway/runnerpool/naive-placer.ts";
import type { RunnerPool } from "../../../gateway/runnerpool/runnerpool.ts";
import { poolOf } from "../../../gateway/runnerpool/static-pool.ts";
import { callFor } from "../../../kiln/testing/call-for.ts";
import { collectedCall } from "../../../kiln/testing/collected-call.ts";
import { answers, bodyOf, FakeRunner, fails, refuses, someTurns } from "../../../kiln/testing/fake-runner.ts";
import { VirtualClock } from "../../../kiln/testing/virtual-clock.ts";

const never = new AbortController().signal;

function placerAt(clock: VirtualClock, changes: Partial<NaivePlacerOptions> = {}) {
  const fixed = { random: () => 0 };
  return naivePlacer({ clock, timeoutMs: 1_000, detachedTimeoutMs: 100, retryDelayMs: 10, ...fixed, ...changes });
}

function codeOf(code: string, text = /./) {
  return (error: unknown) => error instanceof CallError && error.code === code && text.test(error.message);
}

/** Lets promises settle, and moves the clock until `done` or the time is over. */
async function run(clock: VirtualClock, ms: number, done: Promise<unknown>): Promise<void> {
  let over = false;
  void done.catch(() => {}).finally(() => (over = true));
  for (let t = 0; t < ms && !over; t += 5) {
    await someTurns(2);
    clock.advance(5);
  }
  await someTurns(2);
}

describe("naivePlacer", () => {
  it("asks the runners in order, from where it was told to start, until one takes the call", async () => {
    const runners = [new FakeRunner("a", refuses()), new FakeRunner("b"), new FakeRunner("c", refuses())];
    const placer = placerAt(new VirtualClock(), { random: () => 0.7 });
    const { runnerCall, answer } = collectedCall(callFor("fn"));

    const placement = await placer.place(runnerCall, poolOf(runners), never);

    assert.equal(placement.runner, runners[1]);
    assert.equal(placement.attempts, 3);
    assert.equal((await answer).finish.ok, true);
  });

  it("never offers a placed call again, however it fails", async () => {
    const runners = [new FakeRunner("a", fails("function_response")), new FakeRunner("b")];
    const { runnerCall, answer } = collectedCall(callFor("fn"));

    await placerAt(new VirtualClock()).place(runnerCall, poolOf(runners), never);

    assert.equal((await answer).finish.ok, false);
    assert.equal(runners[1]?.offered.length, 0);
  });

  it("gives every runner the body from its first byte", async () => {
    const bodies: string[] = [];
    const reads = (name: string) =>
      new FakeRunner(name, async (call) => {
        const chunks: Uint8Array[] = [];
        for await (const chunk of bodyOf(call)) chunks.push(chunk);
        bodies.push(Buffer.concat(chunks).toString());
        return {
          placed: false,
          reason: new CallError("server_busy"),
          scope: name === "b" ? "any_runner" : "this_runner",
        };
      });

    await assert.rejects(
      placerAt(new VirtualClock()).place(
        collectedCall(callFor("fn"), "body").runnerCall,
        poolOf([reads("a"), reads("b")]),
        never,
      ),
    );

    assert.deepEqual(bodies, ["body", "body"]);
  });

  it("ends the search when a runner says that no runner would take the call", async () => {
    const runners = [new FakeRunner("a", refuses("invalid_call", "any_runner")), new FakeRunner("b")];

    await assert.rejects(
      placerAt(new VirtualClock()).place(collectedCall(callFor("fn")).runnerCall, poolOf(runners), never),
      codeOf("invalid_call"),
    );
    assert.equal(runners[1]?.offered.length, 0);
  });

  it("goes round again after a wait that grows, and gives up at its own timeout with the runners' reason", async () => {
    const clock = new VirtualClock();
    const busy = new FakeRunner("a", refuses());
    const placed = placerAt(clock).place(collectedCall(callFor("fn")).runnerCall, poolOf([busy]), never);

    await run(clock, 2_000, placed);

    await assert.rejects(placed, codeOf("server_busy", /in 1000 ms/));
    assert.ok(busy.offered.length > 5 && busy.offered.length < 20, `${busy.offered.length} rounds`);
    assert.ok(clock.now() <= 1_010);
  });

  it("gives a detached call a timeout of its own", async () => {
    const clock = new VirtualClock();
    const call = callFor("fn", { type: "detached" });
    const placed = placerAt(clock).place(
      collectedCall(call).runnerCall,
      poolOf([new FakeRunner("a", refuses())]),
      never,
    );

    await run(clock, 2_000, placed);

    await assert.rejects(placed, codeOf("server_busy", /in 100 ms/));
  });

  it("is woken by a runner's capacity, not by the clock", async () => {
    const clock = new VirtualClock();
    let full = true;
    const runner = new FakeRunner("a", (call, self, signal) => (full ? refuses() : answers(""))(call, self, signal));
    const placed = placerAt(clock).place(collectedCall(callFor("fn")).runnerCall, poolOf([runner]), never);
    await someTurns();
    full = false;

    runner.tell();

    assert.equal((await placed).runner, runner);
    assert.equal(clock.now(), 0);
    assert.equal(clock.pending, 0, "no timer is left behind");
  });

  it("bounds the search, not the answer of a runner that takes long to say yes", async () => {
    const clock = new VirtualClock();
    const slow = new FakeRunner("a", async (call, self, signal) => {
      clock.advance(5_000);
      await someTurns(1);
      return answers("")(call, self, signal);
    });

    const placement = await placerAt(clock).place(collectedCall(callFor("fn")).runnerCall, poolOf([slow]), never);

    assert.equal(placement.runner, slow);
  });

  it("stops when the call's client leaves", async () => {
    const leaving = new AbortController();
    const busy = new FakeRunner("a", refuses());
    const placed = placerAt(new VirtualClock()).place(
      collectedCall(callFor("fn")).runnerCall,
      poolOf([busy]),
      leaving.signal,
    );
    await someTurns();

    leaving.abort();

    await assert.rejects(placed, codeOf("client_cancel"));
    assert.equal(busy.offered.length, 1);
  });

  it("says at once what can never fit, once every runner has said so", async () => {
    const tooBig = [new FakeRunner("a", refuses("resource_too_big")), new FakeRunner("b", refuses("resource_too_big"))];

    await assert.rejects(
      placerAt(new VirtualClock()).place(collectedCall(callFor("fn")).runnerCall, poolOf(tooBig), never),
      codeOf("resource_too_big"),
    );
  });

  it("goes on while one of the runners is only busy", async () => {
    const clock = new VirtualClock();
    const runners = [new FakeRunner("a", refuses("resource_too_big")), new FakeRunner("b", refuses())];
    const placed = placerAt(clock).place(collectedCall(callFor("fn")).runnerCall, poolOf(runners), never);

    await run(clock, 2_000, placed);

    await assert.rejects(placed, codeOf("server_busy"));
    assert.ok((runners[1]?.offered.length ?? 0) > 1);
  });

  it("says that runners cannot be reached when that is why", async () => {
    const clock = new VirtualClock();
    const placed = placerAt(clock).place(
      collectedCall(callFor("fn")).runnerCall,
      poolOf([new FakeRunner("a", refuses("runner_unreachable"))]),
      never,
    );

    await run(clock, 2_000, placed);

    await assert.rejects(placed, codeOf("runner_unreachable"));
  });
});

describe("a runner pool", () => {
  const poolFrom = (runners: RunnerPool["runners"]): RunnerPool => ({ ...poolOf([]), runners });

  it("is asked again before every round, so that it may grow from nothing", async () => {
    const clock = new VirtualClock();
    const runner = new FakeRunner("late");
    let asked = 0;
    const pool = poolFrom(async () => (++asked < 3 ? [] : [runner]));
    const placed = placerAt(clock).place(collectedCall(callFor("fn")).runnerCall, pool, never);

    await run(clock, 1_000, placed);

    assert.equal((await placed).runner, runner);
    assert.equal(asked, 3);
  });

  it("ends the call without another try when it throws", async () => {
    let asked = 0;
    const pool = poolFrom(async () => {
      asked += 1;
      throw new CallError("too_many_requests");
    });

    await assert.rejects(
      placerAt(new VirtualClock()).place(collectedCall(callFor("fn")).runnerCall, pool, never),
      codeOf("too_many_requests"),
    );
    assert.equal(asked, 1);
  });

  it("closes its runners with itself", async () => {
    const runners = [new FakeRunner("a"), new FakeRunner("b")];

    await poolOf(runners)[Symbol.asyncDispose]();

    assert.ok(runners.every(({ disposed }) => disposed));
  });
});
