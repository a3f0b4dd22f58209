import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { CallError } from "../../../core/call-error.ts";
import { SlotBench, type SlotBenchOptions, type SlotCaller } from "../../../kiln/testing/slot-bench.ts";

const START_MS = 200;

/** One busy container of "a", whose calls are known to take `runMs`. */
function busyBench(runMs: number, options: SlotBenchOptions = {}) {
  const bench = new SlotBench({ slotWaitMs: 2_000, startsAtOnce: 4, ...options });
  const { caller } = bench.ask("a");
  bench.clock.advance(START_MS);
  bench.launched("c1");
  bench.clock.advance(runMs);
  bench.release(caller);
  const { acquired, caller: busy } = bench.ask("a");
  assert.equal(acquired.kind, "slot");
  return { bench, busy };
}

describe("SlotTable, waiting for a slot", () => {
  it("gives slots to the gateways in turn, so that one with many calls keeps no other waiting", () => {
    const { bench, busy } = busyBench(10);
    const [many, few] = [{}, {}];
    const first = bench.ask("a", {}, many);
    const rest = Array.from({ length: 12 }, () => bench.ask("a", {}, many));
    const { caller, acquired } = bench.ask("a", {}, few);
    assert.equal(acquired.kind, "soon", "it is the second, though twelve came before it");

    bench.clock.advance(10);
    bench.release(busy);
    assert.equal(first.caller.container, "c1");
    bench.release(first.caller);

    assert.equal(caller.container, "c1");
    bench.release(caller);
    assert.equal(rest[0]?.caller.container, "c1");
  });

  it("sends elsewhere the last call of a gateway with many, where another's has its place", () => {
    const { bench } = busyBench(10, { mostWaiting: 3 });
    const [many, few] = [{}, {}];
    const waiting = Array.from({ length: 3 }, () => bench.ask("a", {}, many).caller);
    assert.equal(bench.ask("a", {}, many).acquired.kind, "refused");

    const { acquired } = bench.ask("a", {}, few);

    assert.equal(acquired.kind, "soon");
    assert.deepEqual(
      waiting.map(({ reason }) => reason?.code),
      [undefined, undefined, "server_busy"],
    );
  });

  it("lets a gateway that was refused, and has nothing here, wait for the next slot with one call", () => {
    const { bench, busy } = busyBench(300, { memoryMiB: 100 });
    const few = {};
    assert.equal(bench.ask("a", {}, few).acquired.kind, "refused", "at first another runner may have a slot");
    assert.equal(bench.ask("a").acquired.kind, "refused", "the gateway whose call runs hears of its end itself");

    const { caller, acquired } = bench.ask("a", {}, few);
    assert.equal(acquired.kind, "soon");
    assert.equal(bench.ask("a", {}, few).acquired.kind, "refused", "one call of it");
    bench.clock.advance(300);
    bench.release(busy);

    assert.equal(caller.container, "c1");
  });

  it("lets it wait no longer than a slot should take, and not at all where calls run for long", () => {
    const { bench } = busyBench(300, { memoryMiB: 100 });
    const few = {};
    bench.ask("a", {}, few);
    const { caller } = bench.ask("a", {}, few);
    bench.clock.advance(10 + 2 * 300);
    assert.equal(caller.reason?.code, "server_busy");

    const slow = busyBench(3_000, { memoryMiB: 100 }).bench;
    slow.ask("a", {}, few);
    assert.equal(slow.ask("a", {}, few).acquired.kind, "refused");
  });

  it("is patient with a call whose start another's call has now, and starts one for it after that", () => {
    const { bench } = busyBench(5_000);
    const [many, few] = [{}, {}];
    const first = bench.ask("a", {}, many).caller;
    const displaced = bench.ask("a", {}, many).caller;
    const other = bench.ask("a", {}, few).caller;
    assert.equal(bench.started, 3, "there is a start for the first two");

    bench.launched("c2");
    bench.launched("c3");
    assert.deepEqual([first.container, other.container, displaced.container], ["c2", "c3", undefined]);
    bench.clock.advance(START_MS);

    assert.equal(bench.started, 4);
    bench.launched("c4");
    assert.equal(displaced.container, "c4");
  });

  it("starts no container for a call whose slot is back sooner than a start takes", () => {
    const { bench, busy } = busyBench(10);

    const { caller, acquired } = bench.ask("a");
    assert.equal(acquired.kind, "soon");
    assert.equal(bench.started, 1);
    bench.clock.advance(10);
    bench.release(busy);

    assert.equal(caller.container, "c1");
    assert.equal(caller.waited, false, "it runs at once, like a call that found the container idle");
  });

  it("starts one for a call whose slot is back later than that", () => {
    const { bench } = busyBench(5_000);

    assert.equal(bench.ask("a").acquired.kind, "waiting");
    assert.equal(bench.started, 2);
  });

  it("starts one for the call that is too far behind in the queue", () => {
    const { bench } = busyBench(100);

    assert.equal(bench.ask("a").acquired.kind, "soon");
    assert.equal(bench.ask("a").acquired.kind, "waiting", "two calls of 100 ms are no sooner than a start of 200");
    assert.equal(bench.started, 2);
  });

  it("starts one after all, and says so, when the slot does not come back", () => {
    const { bench, busy } = busyBench(10);
    const { caller } = bench.ask("a");

    bench.clock.advance(START_MS - 1);
    assert.equal(bench.started, 1);
    bench.clock.advance(1);
    assert.equal(bench.started, 2);
    assert.equal(caller.waited, true);
    bench.launched("c2");

    assert.equal(caller.container, "c2");
    bench.release(busy);
  });

  it("refuses such a call, so that another runner may take it, where none can be started", () => {
    const { bench } = busyBench(10, { memoryMiB: 100 });

    const { caller, acquired } = bench.ask("a");
    assert.equal(acquired.kind, "soon", "it needs no room to wait for a slot");
    bench.clock.advance(START_MS);

    assert.equal(caller.reason?.code, "server_busy");
  });

  it("waits no longer than it is told to", () => {
    const { bench } = busyBench(10, { slotWaitMs: 50 });
    const { caller } = bench.ask("a");

    bench.clock.advance(50);

    assert.equal(caller.waited, true);
    assert.equal(bench.started, 2);
    const { bench: never } = busyBench(10, { slotWaitMs: 0 });
    assert.equal(never.ask("a").acquired.kind, "waiting");
  });

  it("lets a bounded number of calls wait", () => {
    const { bench } = busyBench(0.1, { mostWaiting: 3 });

    const kinds = Array.from({ length: 4 }, () => bench.ask("a").acquired.kind);

    assert.deepEqual(kinds, ["soon", "soon", "soon", "refused"]);
  });

  it("does not let one slow call make a function slow", () => {
    const { bench, busy } = busyBench(1);
    bench.clock.advance(100_000);
    bench.release(busy);
    assert.equal(bench.ask("a").acquired.kind, "slot");

    assert.equal(bench.ask("a").acquired.kind, "soon");
  });

  it("starts one at once for calls that expected a slot of a container that broke", () => {
    const { bench, busy } = busyBench(10);
    const { caller } = bench.ask("a");

    bench.release(busy, true);

    assert.equal(bench.started, 2);
    assert.equal(caller.waited, true);
    bench.launched("c2");
    assert.equal(caller.container, "c2");
  });

  it("serves 64 clients of a fast function with a handful of containers, though all come at once", () => {
    const bench = new SlotBench({ slotWaitMs: 2_000, startsAtOnce: 4, memoryMiB: 100_000 });
    const running = new Set<SlotCaller>();
    let waiting: SlotCaller[] = Array.from({ length: 64 }, () => bench.ask("a").caller);
    let served = 0;
    let starting: { readonly at: number }[] = [];
    let known = 0;
    for (let ms = 0; ms < 2_000; ms += 1) {
      bench.clock.advance(1);
      while (known < bench.started) {
        known += 1;
        starting.push({ at: ms + START_MS });
      }
      for (const _due of starting.filter(({ at }) => at <= ms)) bench.launched(`c${ms}-${bench.launches.length}`);
      starting = starting.filter(({ at }) => at > ms);
      // Calls of one millisecond, and every client sends its next as soon as it has its answer.
      for (const caller of running) {
        bench.release(caller);
        served += 1;
        const { caller: next } = bench.ask("a");
        waiting.push(next);
      }
      running.clear();
      for (const caller of waiting) if (caller.slot !== undefined) running.add(caller);
      waiting = waiting.filter(({ slot }) => slot === undefined);
    }

    assert.ok(bench.started <= 8, `${bench.started} containers were started`);
    assert.ok(served > 5_000, `${served} calls were served`);
  });

  it("tells a failed start to every call that waits for it, and not to one whose slot comes soon", () => {
    const bench = new SlotBench({ slotWaitMs: 2_000, startsAtOnce: 1 });
    const callers = Array.from({ length: 3 }, () => bench.ask("a", { concurrency: 4 }).caller);
    assert.equal(bench.started, 1);
    const other = busyBench(10);
    const { caller: soon } = other.bench.ask("a");
    other.bench.clock.advance(START_MS);

    bench.launchFailed(new CallError("container_init_failed"));
    other.bench.launchFailed(new CallError("container_init_failed"));

    assert.deepEqual(
      callers.map(({ reason }) => reason?.code),
      Array.from({ length: 3 }, () => "container_init_failed"),
    );
    assert.equal(soon.reason, undefined);
    other.bench.release(other.busy);
    assert.equal(soon.container, "c1");
  });

  it("starts another for a call whose start has failed, if the slot does not come in the time that one takes", () => {
    const { bench } = busyBench(10);
    const { caller } = bench.ask("a");
    bench.clock.advance(START_MS);
    assert.equal(bench.started, 2);

    bench.launchFailed(new CallError("docker_unavailable"));
    bench.clock.advance(START_MS - 1);
    assert.equal(bench.started, 2);
    bench.clock.advance(1);
    assert.equal(bench.started, 3);
    bench.launched("c2");

    assert.equal(caller.container, "c2");
  });

  it("does not hold up one function's first call behind the burst of another", () => {
    const bench = new SlotBench({ slotWaitMs: 2_000, startsAtOnce: 1, memoryMiB: 100_000 });
    for (let i = 0; i < 20; i += 1) bench.ask("burst");
    const { caller } = bench.ask("single");

    for (const container of ["c1", "c2", "c3"]) bench.launched(container);

    assert.equal(caller.container, "c3");
  });

  it("starts no second wave behind starts that take longer than expected and have not all had their turn", () => {
    const bench = new SlotBench({ slotWaitMs: 5_000, startsAtOnce: 4, memoryMiB: 100_000 });
    for (let i = 0; i < 64; i += 1) bench.ask("a");
    const tickets = bench.table.load.starting;

    bench.clock.advance(4_000);

    assert.equal(bench.table.load.starting, tickets);
    bench.clock.advance(2_000);
    assert.equal(bench.table.load.starting, 64, "but nobody waits longer than is allowed");
  });

  it("starts nothing that nobody needs any more when its turn comes", () => {
    const bench = new SlotBench({ startsAtOnce: 1 });
    const [first, second] = [bench.ask("a").caller, bench.ask("a").caller];
    bench.launched("c1");
    bench.release(first);
    assert.equal(second.container, "c1");

    bench.launched("c2");

    assert.equal(bench.started, 2, "the second had begun, and is kept");
    const third = new SlotBench({ startsAtOnce: 1 });
    const callers = Array.from({ length: 3 }, () => third.ask("a").caller);
    third.launched("c1");
    for (const caller of callers.slice(0, 2)) third.release(caller);
    assert.equal(callers[2]?.container, "c1");
    third.launched("c2");
    assert.equal(third.started, 2);
    assert.equal(third.dropped.length, 1, "and its image is let go");
    assert.equal(third.resources.free.memoryMiB, 800);
  });

  it("lets no slow pull hold a turn, and starts no second one for calls that wait for it", () => {
    const bench = new SlotBench({ startsAtOnce: 1, slotWaitMs: 2_000, imagesAtHand: false });
    bench.ask("slow");
    for (let i = 0; i < 3; i += 1) bench.ask("slow");
    const pulls = bench.preparing.length;
    const { caller } = bench.ask("other");
    const own = bench.preparing.at(-1);
    assert.ok(own !== undefined);

    bench.table.prepared(own);
    bench.launched("c1");
    assert.equal(caller.container, "c1");
    bench.clock.advance(60_000);

    assert.equal(bench.preparing.length, pulls + 1);
  });
});
