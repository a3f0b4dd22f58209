import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { CallError } from "../../../core/call-error.ts";
import { SLOT_IDLE_MS, SlotBench } from "../../../kiln/testing/slot-bench.ts";

describe("SlotTable, least and most containers", () => {
  const two = { minContainers: 2 };

  it("starts a function's minimum with its first call, and keeps it warm", () => {
    const bench = new SlotBench();
    const { caller } = bench.ask("a", two);
    assert.equal(bench.launches.length, 2);
    bench.launched("c1");
    bench.launched("c2");
    bench.release(caller);

    bench.clock.advance(100 * SLOT_IDLE_MS);

    assert.deepEqual(bench.wanted, []);
    assert.equal(bench.clock.pending, 0);
  });

  it("lets go of what is above the minimum, the oldest first", () => {
    const bench = new SlotBench();
    const callers = Array.from({ length: 3 }, () => bench.ask("a", two).caller);
    for (const [at, caller] of callers.entries()) {
      bench.launched(`c${at}`);
      assert.equal(caller.container, `c${at}`);
    }
    for (const caller of callers) bench.release(caller);

    bench.clock.advance(SLOT_IDLE_MS);

    assert.deepEqual(bench.wanted, ["remove c0: idle"]);
  });

  it("replaces a container that is spent, without waiting for a call", () => {
    const bench = new SlotBench();
    const once = { minContainers: 1, maxCalls: 1 };
    bench.warm("a", "c1", once);

    assert.deepEqual(bench.wanted, ["remove c1: spent"]);
    assert.equal(bench.launches.length, 1);
  });

  it("does not start over and over what fails to start", () => {
    const bench = new SlotBench();
    const { caller } = bench.ask("a", two);
    bench.launched("c1");
    bench.launchFailed(new CallError("container_init_failed"));
    bench.release(caller);
    for (let i = 0; i < 20; i += 1) bench.release(bench.ask("a", two).caller);
    assert.equal(bench.started, 2);

    bench.clock.advance(5_000);
    bench.release(bench.ask("a", two).caller);

    assert.equal(bench.started, 3);
  });

  it("evicts no one for a minimum, and evicts minimums last", () => {
    const bench = new SlotBench({ memoryMiB: 300 });
    bench.warm("kept", "k1", { minContainers: 1 });
    bench.warm("other", "o1");
    bench.warm("newer", "n1");
    bench.ask("kept", two);
    assert.deepEqual(bench.wanted, [], "there is no room for its second, and none is made");

    bench.ask("x");
    bench.ask("y");
    assert.deepEqual(bench.wanted, ["remove o1: evicted", "remove n1: evicted"]);
  });

  it("gives even a minimum's room to a call that waits", () => {
    const bench = new SlotBench({ memoryMiB: 100 });
    bench.warm("kept", "k1", { minContainers: 1 });

    assert.equal(bench.ask("other").acquired.kind, "waiting");
    assert.deepEqual(bench.wanted, ["remove k1: evicted"]);
  });

  it("keeps the minimum of a changed function, not of what it was", () => {
    const bench = new SlotBench();
    const one = { minContainers: 1 };
    bench.warm("a", "old", { ...one, config: { VERSION: "1" } });
    bench.clock.advance(2 * SLOT_IDLE_MS);
    assert.deepEqual(bench.wanted, []);

    bench.warm("a", "new", { ...one, config: { VERSION: "2" } });
    bench.clock.advance(2 * SLOT_IDLE_MS);

    assert.deepEqual(bench.wanted, ["remove old: idle"]);
  });

  it("lets go of a minimum that is taken back", () => {
    const bench = new SlotBench();
    bench.warm("a", "c1", { minContainers: 1 });
    bench.release(bench.ask("a").caller);

    bench.clock.advance(SLOT_IDLE_MS);

    assert.deepEqual(bench.wanted, ["remove c1: idle"]);
  });

  it("lets go of what is kept above a most that was lowered", () => {
    const bench = new SlotBench();
    const five = { minContainers: 5 };
    const { caller } = bench.ask("a", five);
    for (const name of ["c1", "c2", "c3", "c4", "c5"]) bench.launched(name);
    bench.release(caller);
    bench.clock.advance(2 * SLOT_IDLE_MS);
    assert.equal(bench.wanted.length, 0);

    bench.release(bench.ask("a", { ...five, maxContainers: 2 }).caller);
    bench.clock.advance(2 * SLOT_IDLE_MS);

    assert.equal(bench.wanted.length, 3);
    assert.ok(bench.wanted.every((wanted) => wanted.endsWith(": idle")));
  });

  it("starts no more than a function's most, and refuses where no slot is expected", () => {
    const bench = new SlotBench();
    const one = { maxContainers: 1 };
    const busy = bench.busy("a", "c1", one);

    const { acquired } = bench.ask("a", one);
    assert.ok(acquired.kind === "refused");
    assert.equal(acquired.reason.code, "server_busy");
    assert.match(acquired.reason.message, /its only container that function a may have .*max_containers/);
    assert.equal(acquired.scope, "this_runner");

    bench.release(busy, true);
    assert.equal(bench.ask("a", one).acquired.kind, "refused", "the broken one is not gone yet");
    bench.table.gone("c1");
    assert.equal(bench.ask("a", one).acquired.kind, "waiting");
  });

  it("lets calls wait for the containers a function may have, where slots are expected", () => {
    const bench = new SlotBench({ slotWaitMs: 2_000 });
    const one = { maxContainers: 1 };
    const { caller: first } = bench.ask("a", one);
    bench.clock.advance(200);
    bench.launched("c1");
    bench.release(first);
    const { caller: busy } = bench.ask("a", one);
    const { caller, acquired } = bench.ask("a", one);
    assert.equal(acquired.kind, "soon");

    bench.release(busy);

    assert.equal(caller.container, "c1");
  });
});
