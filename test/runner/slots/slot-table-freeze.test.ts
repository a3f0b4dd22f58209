import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { CallError } from "../../../core/call-error.ts";
import { containerTask, slotKey } from "../../../core/container-task.ts";
import { callFor } from "../../../kiln/testing/call-for.ts";
import { VirtualClock } from "../../../kiln/testing/virtual-clock.ts";
import { Resources } from "../../../runner/slots/resources.ts";
import { SlotTable } from "../../../runner/slots/slot-table.ts";
import type { LaunchTicket, Slot, SlotRequest, SlotWaiter } from "../../../runner/slots/slot.ts";

class Caller implements SlotWaiter<string> {
  slot: Slot<string> | undefined;
  reason: CallError | undefined;
  waited = false;
  get served(): boolean {
    return this.slot !== undefined;
  }
  granted(slot: Slot<string>): void {
    assert.ok(this.slot === undefined && this.reason === undefined, "told once");
    this.slot = slot;
  }
  failed(reason: CallError): void {
    assert.ok(this.slot === undefined && this.reason === undefined, "told once");
    this.reason = reason;
  }
  waits(): void {
    this.waited = true;
  }
}

const IDLE_MS = 1_000;

function request(name: string): SlotRequest {
  const task = containerTask(callFor(name, { memoryMiB: 100, idleTimeoutMs: IDLE_MS }));
  const booking = { memoryMiB: 100, cpuMillis: 0 };
  return { task, key: slotKey(task), affinityKey: name, booking, registryToken: "" };
}

/** A table that freezes after 50 ms, and what it wanted done, in order. */
function tableOf({ memoryMiB = 1_000, freezeIdleMs = 50 } = {}) {
  const clock = new VirtualClock();
  const resources = new Resources({ memoryMiB, cpuMillis: 1_000 });
  const launches: LaunchTicket[] = [];
  const wanted: string[] = [];
  const effects = {
    launch: (ticket: LaunchTicket) => void launches.push(ticket),
    remove: (container: string, why: string) => void wanted.push(`remove ${container}: ${why}`),
    freeze: (container: string) => void wanted.push(`freeze ${container}`),
    thaw: (container: string) => void wanted.push(`thaw ${container}`),
    changed() {},
  };
  const table = new SlotTable<string>(resources, effects, clock, freezeIdleMs);
  const ask = (name: string) => {
    const caller = new Caller();
    const acquired = table.acquire(request(name), caller);
    if (acquired.kind === "slot") caller.slot = acquired.slot;
    return { caller, kind: acquired.kind };
  };
  const release = ({ slot }: Caller) => table.release(slot ?? assert.fail("it has a slot"), false);
  /** An idle container for `name`. */
  const warm = (name: string, container: string) => {
    const { caller } = ask(name);
    table.launched(launches.pop() ?? assert.fail("a start was wanted"), container);
    release(caller);
  };
  /** An idle, frozen container for `name`. */
  const frozen = (name: string, container: string) => {
    warm(name, container);
    clock.advance(freezeIdleMs);
    table.froze(container, true);
    assert.deepEqual(wanted.splice(0), [`freeze ${container}`]);
  };
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
    clock.advance(49);
    assert.deepEqual(wanted, []);
    clock.advance(1);

    assert.deepEqual(wanted, ["freeze c1"]);
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
    assert.equal(kind, "thawing");
    assert.deepEqual(wanted, ["thaw c1"]);
    assert.ok(!caller.served);
    table.thawed("c1", true);

    assert.equal(caller.slot?.container, "c1");
    assert.equal(caller.waited, false);
  });

  it("freezes it again after that call", () => {
    const { table, clock, wanted, ask, release, frozen } = tableOf();
    frozen("a", "c1");
    const { caller } = ask("a");
    table.thawed("c1", true);
    release(caller);
    clock.advance(50);

    assert.deepEqual(wanted, ["thaw c1", "freeze c1"]);
  });

  it("lets a freeze that is under way end before it thaws, however that ends", () => {
    for (const ok of [true, false]) {
      const { table, clock, wanted, ask, warm } = tableOf();
      warm("a", "c1");
      clock.advance(50);

      const { caller, kind } = ask("a");
      assert.equal(kind, "thawing");
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

    assert.equal(ask("a").kind, "thawing");
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
    assert.equal(kind, "thawing");
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
    clock.advance(50);
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
    table.leave(request("a").key, caller);

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

describe("SlotTable, freezing, in any order of events", () => {
  it("never freezes a busy container, never does two things to one at once, and loses nobody", () => {
    for (let seed = 1; seed <= 3_000; seed += 1) interleave(seed);
  });
});

/** Lets calls, freezes, thaws, failures and deaths come as the seed has it, and then lets everything end. */
function interleave(seed: number): void {
  const say = (what: string) => `${what} (seed ${seed})`;
  const random = randomFrom(seed);
  const clock = new VirtualClock();
  const resources = new Resources({ memoryMiB: 300, cpuMillis: 1_000 });
  const launching: LaunchTicket[] = [];
  /** What is done to a container: at most one thing at a time. */
  const doing = new Map<string, "freeze" | "thaw">();
  const leaving = new Set<string>();
  const holders = new Map<string, Caller>();
  const open = new Map<Caller, SlotRequest>();
  let born = 0;
  const begin = (what: "freeze" | "thaw") => (container: string) => {
    assert.ok(!doing.has(container), say(`${what} while ${doing.get(container)}`));
    assert.ok(!holders.has(container), say(`${what} of a busy container`));
    assert.ok(!leaving.has(container), say(`${what} of a removed container`));
    doing.set(container, what);
  };
  const effects = {
    launch: (ticket: LaunchTicket) => void launching.push(ticket),
    remove(container: string) {
      assert.ok(!leaving.has(container), say("removed twice"));
      leaving.add(container);
    },
    freeze: begin("freeze"),
    thaw: begin("thaw"),
    changed() {},
  };
  const table = new SlotTable<string>(resources, effects, clock, 50);
  const settle = () => {
    for (const caller of open.keys()) {
      if (caller.reason !== undefined) open.delete(caller);
      if (caller.slot === undefined) continue;
      assert.ok(!holders.has(caller.slot.container), say("given to two calls"));
      assert.notEqual(doing.get(caller.slot.container), "freeze", say("given away while it is frozen"));
      holders.set(caller.slot.container, caller);
      open.delete(caller);
    }
  };
  const endOf = (what: "freeze" | "thaw", ok: boolean) => {
    const [container] = [...doing].find(([, done]) => done === what) ?? [];
    if (container === undefined) return;
    doing.delete(container);
    if (what === "freeze") table.froze(container, ok);
    else table.thawed(container, ok);
  };
  const steps: readonly (() => void)[] = [
    () => {
      const caller = new Caller();
      const asked = request(random(2) === 0 ? "a" : "b");
      open.set(caller, asked);
      const acquired = table.acquire(asked, caller);
      if (acquired.kind === "slot") caller.slot = acquired.slot;
      if (acquired.kind === "refused") open.delete(caller);
    },
    () => {
      const ticket = launching.shift();
      if (ticket !== undefined) table.launched(ticket, `c${(born += 1)}`);
    },
    () => {
      const [container, caller] = [...holders][random(3)] ?? [];
      if (container === undefined || caller?.slot === undefined) return;
      holders.delete(container);
      table.release(caller.slot, random(8) === 0);
    },
    () => {
      const [caller, asked] = [...open][random(3)] ?? [];
      if (caller === undefined || asked === undefined) return;
      open.delete(caller);
      table.leave(asked.key, caller);
    },
    () => clock.advance([1, 10, 60, 1_100][random(4)] ?? 0),
    () => endOf("freeze", random(5) > 0),
    () => endOf("thaw", random(5) > 0),
    () => {
      const container = `c${1 + random(born + 1)}`;
      if (!leaving.has(container)) table.died(container);
    },
    () => {
      const [container] = leaving;
      // Nothing is gone while something is still done to it.
      if (container === undefined || doing.has(container)) return;
      leaving.delete(container);
      table.gone(container);
    },
  ];
  for (let i = 0; i < 60; i += 1) {
    steps[random(steps.length)]?.();
    settle();
  }
  table.close();
  for (let i = 0; i < 400; i += 1) {
    for (const step of steps.slice(1)) {
      step();
      settle();
    }
  }
  assert.equal(open.size, 0, say("a call still waits"));
  assert.equal(table.size, 0, say("a container is left"));
  assert.equal(resources.free.memoryMiB, 300, say("memory is still booked"));
}

/** Mulberry32. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) % below;
  };
}
