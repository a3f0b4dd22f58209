import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { SlotBench, slotRequest } from "../../../kiln/testing/slot-bench.ts";

describe("SlotTable, concurrency", () => {
  const three = { concurrency: 3 };

  it("runs so many calls in a container, and starts another for the next", () => {
    const bench = new SlotBench();
    const callers = Array.from({ length: 3 }, () => bench.ask("a", three).caller);
    assert.equal(bench.launches.length, 1);

    bench.launched("c1");
    assert.deepEqual(
      callers.map(({ container }) => container),
      ["c1", "c1", "c1"],
    );

    assert.equal(bench.ask("a", three).acquired.kind, "waiting");
    assert.equal(bench.launches.length, 1);
  });

  it("fills the container that runs calls before one that rests", () => {
    const bench = new SlotBench();
    const callers = Array.from({ length: 4 }, () => bench.ask("a", three).caller);
    bench.launched("c1");
    bench.launched("c2");
    const fourth = callers[3] ?? assert.fail();
    for (const caller of callers.slice(0, 3)) bench.release(caller);
    assert.equal(fourth.container, "c2");

    assert.equal(bench.ask("a", three).caller.container, "c2");
    assert.deepEqual([...bench.table.load.idle], [["a", 1]]);
    assert.deepEqual([...bench.table.load.spareSlots], [["a", 1]]);
  });

  it("tells of the room in a container that is being started, besides the calls that wait for it", () => {
    const bench = new SlotBench();
    bench.ask("a", three);
    assert.deepEqual([...bench.table.load.spareSlots], [["a", 2]]);

    bench.ask("a", three);
    bench.ask("a", three);

    assert.deepEqual([...bench.table.load.spareSlots], []);
  });

  it("lets the neighbours of a call that broke the container finish, and no other begin", () => {
    const bench = new SlotBench();
    const [first, second] = [bench.ask("a", three).caller, bench.ask("a", three).caller];
    bench.launched("c1");

    bench.release(first, true);
    assert.deepEqual(bench.wanted, []);
    assert.equal(bench.ask("a", three).acquired.kind, "waiting");
    bench.release(second);

    assert.deepEqual(bench.wanted, ["remove c1: broken"]);
  });

  it("takes a slot back once, however often it is given back", () => {
    const bench = new SlotBench();
    const [first, second] = [bench.ask("a", three).caller, bench.ask("a", three).caller];
    bench.launched("c1");

    bench.release(first);
    bench.release(first);
    assert.equal(bench.table.load.running, 1);
    assert.equal(bench.table.load.idle.size, 0);
    bench.release(second);

    assert.deepEqual([...bench.table.load.idle], [["a", 1]]);
  });

  it("freezes a container only when no call runs in it, and thaws it once for several", () => {
    const bench = new SlotBench({ freezeIdleMs: 50 });
    const [first, second] = [bench.ask("a", three).caller, bench.ask("a", three).caller];
    bench.launched("c1");
    bench.release(first);
    bench.clock.advance(500);
    assert.deepEqual(bench.wanted, []);
    bench.release(second);
    bench.clock.advance(50);
    bench.table.froze("c1", true);

    const callers = Array.from({ length: 3 }, () => bench.ask("a", three));
    assert.deepEqual(bench.wanted, ["freeze c1", "thaw c1"]);
    const [leaves] = callers;
    bench.table.leave(slotRequest("a", three).key, leaves?.caller ?? assert.fail());
    bench.table.thawed("c1", true);

    assert.deepEqual(
      callers.map(({ caller }) => caller.container),
      [undefined, "c1", "c1"],
    );
  });

  it("gives all calls of a container that did not thaw another", () => {
    const bench = new SlotBench({ freezeIdleMs: 50 });
    bench.warm("a", "c1", three);
    bench.clock.advance(50);
    bench.table.froze("c1", true);
    const callers = [bench.ask("a", three).caller, bench.ask("a", three).caller];

    bench.table.thawed("c1", false);
    bench.launched("c2");

    assert.deepEqual(
      callers.map(({ container, waited }) => [container, waited]),
      [
        ["c2", true],
        ["c2", true],
      ],
    );
  });

  it("lets a container run so many calls in all, and no more", () => {
    const bench = new SlotBench();
    const twoCalls = { maxCalls: 2 };
    bench.warm("a", "c1", twoCalls);
    const { caller } = bench.ask("a", twoCalls);
    assert.equal(caller.container, "c1");

    bench.release(caller);

    assert.deepEqual(bench.wanted, ["remove c1: spent"]);
    assert.equal(bench.ask("a", twoCalls).acquired.kind, "waiting");
  });

  it("starts as many containers as calls need that may run so few calls each, though more at once", () => {
    const bench = new SlotBench();
    const twoOfThree = { ...three, maxCalls: 2 };
    const callers = Array.from({ length: 3 }, () => bench.ask("a", twoOfThree).caller);
    assert.equal(bench.launches.length, 2);
    assert.deepEqual([...bench.table.load.spareSlots], [["a", 1]]);

    bench.launched("c1");
    bench.launched("c2");

    assert.deepEqual(
      callers.map(({ container }) => container),
      ["c1", "c1", "c2"],
    );
  });

  it("lets no call wait for the slot of a container's last call: it does not come back", () => {
    const bench = new SlotBench({ slotWaitMs: 5_000 });
    const twoCalls = { maxCalls: 2 };
    bench.warm("a", "c1", twoCalls);
    assert.equal(bench.ask("a", twoCalls).caller.container, "c1");

    assert.equal(bench.ask("a", twoCalls).acquired.kind, "waiting");
    assert.equal(bench.launches.length, 1);
  });

  it("counts only calls that ran: one that left while its container thawed is none", () => {
    const bench = new SlotBench({ freezeIdleMs: 50 });
    const twoCalls = { maxCalls: 2 };
    bench.warm("a", "c1", twoCalls);
    bench.clock.advance(50);
    bench.table.froze("c1", true);
    const { caller } = bench.ask("a", twoCalls);
    bench.table.leave(slotRequest("a", twoCalls).key, caller);
    bench.table.thawed("c1", true);

    assert.equal(bench.ask("a", twoCalls).acquired.kind, "slot");
  });
});
