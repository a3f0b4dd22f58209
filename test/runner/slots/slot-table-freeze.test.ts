import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { SLOT_IDLE_MS, SlotBench, type SlotCaller, slotRequest } from "../../../kiln/testing/slot-bench.ts";

const IDLE_MS = SLOT_IDLE_MS;

/** A table that freezes after 50 ms, and what it wanted done, in order. */
function tableOf({ memoryMiB = 1_000, freezeIdleMs = 50 } = {}) {
  const bench = new SlotBench({ memoryMiB, freezeIdleMs });
  const { table, clock, resources, launches, wanted } = bench;
  const ask = (name: string) => {
    const { caller, acquired } = bench.ask(name);
    return { caller, kind: acquired.kind };
  };
  /** An idle, frozen container for `name`. */
  const frozen = (name: string, container: string) => {
    bench.warm(name, container);
    clock.advance(freezeIdleMs);
    table.froze(container, true);
    assert.deepEqual(wanted.splice(0), [`freeze ${container}`]);
  };
  const release = (caller: SlotCaller) => bench.release(caller);
  const warm = (name: string, container: string) => bench.warm(name, container);
  return { table, clock, resources, launches, wanted, ask, release, warm, frozen };
}

describe("SlotTable, freezing", () => {
  it("freezes a container that was idle for long enough, once", () => {
    const { table, clock, wanted, warm } = tableOf();
    warm("a", "c1");

    clock.advance(49);
    assert.deepEqual(wanted, []);
    clock.advance(1);
    table.froze("c1", true);
    clock.advance(500);

    assert.deepEqual(wanted, ["freeze c1"]);
  });

  it("counts from the last call, and never freezes one that runs a call", () => {
    const { clock, wanted, ask, release, warm } = tableOf();
    warm("a", "c1");
    clock.advance(40);
    const { caller, kind } = ask("a");
    clock.advance(200);
    assert.equal(kind, "slot");
    assert.deepEqual(wanted, [], "busy");
    release(caller);
    clock.advance(159);
    assert.deepEqual(wanted, []);
    clock.advance(1);

    assert.deepEqual(wanted, ["freeze c1"], "after four of its pauses, which were 40 ms");
  });

  it("does not freeze between the calls of a function that is called all the time", () => {
    const { clock, wanted, ask, release, warm } = tableOf();
    warm("a", "c1");
    clock.advance(45);
    for (let i = 0; i < 50; i += 1) {
      release(ask("a").caller);
      // Longer than the 50 ms after which others are frozen.
      clock.advance(100);
    }

    assert.deepEqual(wanted, []);
    clock.advance(300);
    assert.deepEqual(wanted, ["freeze c1"]);
  });

  it("freezes within a second whatever the pauses between calls", () => {
    const { table, clock, wanted, ask, release, warm } = tableOf();
    warm("a", "c1");
    for (let i = 0; i < 3; i += 1) {
      clock.advance(900);
      const { caller, kind } = ask("a");
      if (kind === "soon") {
        table.froze("c1", true);
        table.thawed("c1", true);
      }
      release(caller);
    }
    wanted.splice(0);
    clock.advance(998);
    assert.deepEqual(wanted, []);
    clock.advance(1);
    assert.deepEqual(wanted, []);
    clock.advance(1);

    assert.deepEqual(wanted, ["freeze c1", "remove c1: idle"]);
  });

  it("freezes each at its own time", () => {
    const { clock, wanted, warm } = tableOf();
    warm("a", "c1");
    clock.advance(20);
    warm("b", "c2");

    clock.advance(30);
    assert.deepEqual(wanted, ["freeze c1"]);
    clock.advance(20);

    assert.deepEqual(wanted, ["freeze c1", "freeze c2"]);
  });

  it("freezes at once when told 0, and never when told less", () => {
    const atOnce = tableOf({ freezeIdleMs: 0 });
    atOnce.warm("a", "c1");
    atOnce.clock.advance(0);
    const never = tableOf({ freezeIdleMs: -1 });
    never.warm("a", "c1");
    never.clock.advance(IDLE_MS - 1);

    assert.deepEqual(atOnce.wanted, ["freeze c1"]);
    assert.deepEqual(never.wanted, []);
  });

  it("keeps one timer for it, and none for calls that follow each other closely", () => {
    const { clock, wanted, ask, release, warm } = tableOf();
    warm("a", "c1");
    const timers = clock.pending;
    for (let i = 0; i < 100; i += 1) {
      release(ask("a").caller);
      clock.advance(1);
      assert.equal(clock.pending, timers);
    }
    assert.deepEqual(wanted, []);
  });

  it("thaws a frozen container before its call gets it", () => {
    const { table, wanted, ask, frozen } = tableOf();
    frozen("a", "c1");

    const { caller, kind } = ask("a");
    assert.equal(kind, "soon");
    assert.deepEqual(wanted, ["thaw c1"]);
    assert.equal(caller.container, undefined);
    table.thawed("c1", true);

    assert.equal(caller.container, "c1");
    assert.equal(caller.waited, false);
  });

  it("freezes it again after that call", () => {
    const { table, clock, wanted, ask, release, frozen } = tableOf();
    frozen("a", "c1");
    const { caller } = ask("a");
    table.thawed("c1", true);
    release(caller);
    clock.advance(200);

    assert.deepEqual(wanted, ["thaw c1", "freeze c1"]);
  });

  it("lets a freeze that is under way end before it thaws, however that ends", () => {
    for (const ok of [true, false]) {
      const { table, clock, wanted, ask, warm } = tableOf();
      warm("a", "c1");
      clock.advance(50);

      const { caller, kind } = ask("a");
      assert.equal(kind, "soon");
      assert.deepEqual(wanted, ["freeze c1"]);
      table.froze("c1", ok);
      assert.deepEqual(wanted, ["freeze c1", "thaw c1"]);
      table.thawed("c1", true);

      assert.equal(caller.slot?.container, "c1");
    }
  });

  it("gives a second call another container while one is thawed", () => {
    const { table, launches, ask, frozen } = tableOf();
    frozen("a", "c1");

    assert.equal(ask("a").kind, "soon");
    const second = ask("a");
    assert.equal(second.kind, "waiting");
    table.launched(launches[0] ?? assert.fail(), "c2");

    assert.equal(second.caller.slot?.container, "c2");
  });

  it("does not try again to freeze what could not be frozen, and thaws it all the same", () => {
    const { table, clock, wanted, ask, release, warm } = tableOf();
    warm("a", "c1");
    clock.advance(50);
    table.froze("c1", false);

    const { caller, kind } = ask("a");
    assert.equal(kind, "soon");
    table.thawed("c1", true);
    release(caller);
    clock.advance(500);

    assert.deepEqual(wanted, ["freeze c1", "thaw c1"]);
    assert.equal(ask("a").kind, "slot", "it runs, and is known to");
  });

  it("removes what cannot be thawed, and gives its call another idle container", () => {
    const { table, clock, wanted, ask, launches, frozen } = tableOf();
    frozen("a", "c1");
    const { caller: first } = ask("a");
    table.thawed("c1", true);
    const { caller: second } = ask("a");
    table.launched(launches[0] ?? assert.fail(), "c2");
    for (const { slot } of [first, second]) table.release(slot ?? assert.fail(), false);
    clock.advance(200);
    table.froze("c1", true);
    table.froze("c2", true);
    wanted.splice(0);

    const { caller } = ask("a");
    table.thawed("c2", false);
    assert.deepEqual(wanted, ["thaw c2", "remove c2: broken", "thaw c1"]);
    table.thawed("c1", true);

    assert.equal(caller.slot?.container, "c1");
  });

  it("starts a container for the call whose own could not be thawed, and says that it waits", () => {
    const { table, ask, launches, frozen } = tableOf();
    frozen("a", "c1");

    const { caller } = ask("a");
    table.thawed("c1", false);
    assert.equal(caller.waited, true);
    table.launched(launches[0] ?? assert.fail(), "c2");

    assert.equal(caller.slot?.container, "c2");
  });

  it("starts it in the room of the one that is lost, once that is gone", () => {
    const { table, ask, launches, frozen } = tableOf({ memoryMiB: 100 });
    frozen("a", "c1");

    const { caller } = ask("a");
    table.thawed("c1", false);
    assert.equal(caller.waited, true);
    assert.equal(launches.length, 0);
    table.gone("c1");

    assert.equal(launches.length, 1);
  });

  it("refuses such a call once it is closed", () => {
    const { table, ask, frozen } = tableOf();
    frozen("a", "c1");
    const { caller } = ask("a");
    table.close();

    table.thawed("c1", false);

    assert.equal(caller.reason?.code, "shutting_down");
  });

  it("keeps the container of a call that left while it was thawed", () => {
    const { table, ask, frozen } = tableOf();
    frozen("a", "c1");
    const { caller } = ask("a");
    table.leave(slotRequest("a").key, caller);

    table.thawed("c1", true);

    assert.equal(caller.slot, undefined);
    assert.equal(ask("a").kind, "slot");
  });

  it("takes the death of a container that is thawed for a failed thaw", () => {
    const { table, wanted, ask, frozen } = tableOf();
    frozen("a", "c1");
    const { caller } = ask("a");

    table.died("c1");
    table.thawed("c1", true);

    assert.deepEqual(wanted, ["thaw c1", "remove c1: broken"]);
    assert.equal(caller.waited, true);
    assert.equal(caller.slot, undefined);
  });

  it("removes frozen containers like other idle ones: dead, too long idle, evicted, at the close", () => {
    const dead = tableOf();
    dead.frozen("a", "c1");
    dead.table.died("c1");
    const old = tableOf();
    old.frozen("a", "c1");
    old.clock.advance(IDLE_MS);
    const evicted = tableOf({ memoryMiB: 100 });
    evicted.frozen("a", "c1");
    evicted.ask("b");
    const closed = tableOf();
    closed.frozen("a", "c1");
    closed.table.close();

    assert.deepEqual(dead.wanted, ["remove c1: broken"]);
    assert.deepEqual(old.wanted, ["remove c1: idle"]);
    assert.deepEqual(evicted.wanted, ["remove c1: evicted"]);
    assert.deepEqual(closed.wanted, ["remove c1: closing"]);
  });

  it("never thaws what it removed while that was being frozen", () => {
    const { table, clock, wanted, warm } = tableOf();
    warm("a", "c1");
    clock.advance(50);
    table.died("c1");

    table.froze("c1", true);

    assert.deepEqual(wanted, ["freeze c1", "remove c1: broken"]);
  });

  it("freezes nothing any more once it is closed", () => {
    const { table, clock, wanted, ask, warm } = tableOf();
    warm("a", "c1");
    ask("a");
    table.close();

    clock.advance(500);

    assert.deepEqual(wanted, []);
  });
});
