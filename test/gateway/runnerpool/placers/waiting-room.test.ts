import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { Need } from "../../../../gateway/runnerpool/placers/candidate.ts";
import { RunnerView } from "../../../../gateway/runnerpool/placers/runner-view.ts";
import type { Ticket } from "../../../../gateway/runnerpool/placers/waiting-list.ts";
import { WaitingRoom, type QueueLimits } from "../../../../gateway/runnerpool/placers/waiting-room.ts";
import { chance } from "../../../../kiln/fleet/chance.ts";
import { needFor } from "../../../../kiln/testing/candidate-for.ts";
import { FakeRunner } from "../../../../kiln/testing/fake-runner.ts";
import { VirtualClock } from "../../../../kiln/testing/virtual-clock.ts";

const NO_LIMITS: QueueLimits = { perFunction: Infinity, total: Infinity };

/** A room, and what it woke: the function, and whether for a runner or to ask all. */
function roomAt(clock: VirtualClock, retryDelayMs = 10) {
  const runner = new FakeRunner("a");
  runner.tell({ freeMemoryMiB: 0 });
  const view = new RunnerView(runner);
  const room = new WaitingRoom({ clock, limits: NO_LIMITS, retryDelayMs, random: () => 0.5 });
  const asked = { runners: [view], refused: new Map<RunnerView, number>() };
  const woken: Ticket[] = [];
  const enter = (fn: string, need: Need = needFor(fn)) => {
    // It may be woken before it has its ticket.
    const made: Ticket[] = [];
    let early = 0;
    const note = () => {
      early += made.length === 0 ? 1 : 0;
      woken.push(...made);
    };
    const ticket = room.enter(fn, need, asked, note);
    made.push(ticket);
    if (early > 0) woken.push(ticket);
    return ticket;
  };
  const tell = (capacity: Parameters<FakeRunner["tell"]>[0]) => {
    runner.tell(capacity);
    room.serve(view);
  };
  return { runner, view, room, asked, woken, enter, tell };
}

const names = (tickets: readonly Ticket[]) => tickets.map(({ need }) => need.fnId);

describe("WaitingRoom", () => {
  it("wakes as many calls as there are places, the first that came first", () => {
    const { enter, tell, woken } = roomAt(new VirtualClock());
    const tickets = Array.from({ length: 1_000 }, () => enter("fn"));

    tell({ freeMemoryMiB: 3 * 128, idle: { fn: 2 } });

    assert.deepEqual(woken, tickets.slice(0, 5));
  });

  it("wakes a small call where a large one before it has no place", () => {
    const { enter, tell, woken } = roomAt(new VirtualClock());
    enter("large", needFor("large", { memoryMiB: 512 }));
    enter("small");

    tell({ freeMemoryMiB: 256 });

    assert.deepEqual(names(woken), ["small"]);
  });

  it("is fair: of two functions that wait, each has every other place", () => {
    const { enter, tell, woken } = roomAt(new VirtualClock());
    for (let i = 0; i < 1_000; i++) enter("many");
    for (let i = 0; i < 10; i++) enter("few");

    for (let i = 0; i < 20; i++) tell({ freeMemoryMiB: 128 });

    assert.equal(names(woken).filter((name) => name === "few").length, 10);
  });

  it("gives a container back to its own function, until another has fallen behind by 64 places", () => {
    const { enter, view, room, woken } = roomAt(new VirtualClock());
    for (let i = 0; i < 200; i++) enter("own");
    enter("other");

    for (let i = 0; i < 70; i++) {
      view.returned("own", 1);
      room.serve(view);
    }

    assert.equal(names(woken).indexOf("other"), 64);
  });

  it("gives a container to another function that had no place for half a second, one at a time", () => {
    const clock = new VirtualClock();
    const { enter, view, room, woken } = roomAt(clock, 10_000);
    for (const fn of ["own", "own", "other", "other"]) enter(fn);
    const oneEnds = () => {
      view.returned("own", 1);
      room.serve(view);
    };

    clock.advance(499);
    oneEnds();
    clock.advance(1);
    oneEnds();
    clock.advance(500);
    oneEnds();

    assert.deepEqual(names(woken), ["own", "other", "own"]);
  });

  it("has whoever comes back stand where they stood", () => {
    const { enter, tell, room, asked, woken } = roomAt(new VirtualClock());
    const tickets = Array.from({ length: 4 }, () => enter("fn"));
    tell({ freeMemoryMiB: 256 });
    for (const ticket of [...woken].reverse()) room.comeBack(ticket, asked);
    woken.length = 0;

    tell({ freeMemoryMiB: 3 * 128 });

    assert.deepEqual(woken, tickets.slice(0, 3));
  });

  it("keeps the order of any comings, goings and returns, and its count", () => {
    for (let seed = 0; seed < 200; seed++) {
      const chosen = chance(seed);
      const { enter, tell, room, asked, woken } = roomAt(new VirtualClock());
      const inside = new Set<Ticket>();
      for (let step = 0; step < 100; step++) {
        const kind = chosen.below(4);
        if (kind === 0) inside.add(enter(chosen.pick(["a", "b"])));
        if (kind === 1 && inside.size > 0) {
          const one = chosen.pick([...inside]);
          inside.delete(one);
          room.leave(one, chosen.happens(0.5));
        }
        if (kind === 2) tell({ freeMemoryMiB: 128 * chosen.below(4) });
        if (kind === 3) for (const one of woken.splice(0)) if (chosen.happens(0.7)) room.comeBack(one, asked);
      }
      assert.equal(room.size, inside.size, `seed ${seed}`);
      tell({ freeMemoryMiB: 0 });
      for (const one of inside) room.comeBack(one, asked);
      woken.length = 0;
      tell({ freeMemoryMiB: 128 * 1_000, totalMemoryMiB: 128 * 1_000 });

      assert.equal(woken.length, inside.size, `seed ${seed}`);
      for (const fn of ["a", "b"]) {
        const numbers = woken.filter(({ need }) => need.fnId === fn).map(({ number }) => number);
        assert.deepEqual(
          numbers,
          [...numbers].sort((a, b) => a - b),
          `seed ${seed}`,
        );
      }
    }
  });

  it("has few ask again without news, and ever more seldom, however many wait", async () => {
    const clock = new VirtualClock();
    const { enter, room, asked, woken } = roomAt(clock);
    for (let i = 0; i < 10_000; i++) enter(`fn-${i % 100}`);

    let times = 0;
    for (let second = 0; second < 10; second++) {
      await clock.run(1_000);
      times += woken.length;
      for (const ticket of woken.splice(0)) room.comeBack(ticket, asked);
    }

    assert.ok(times >= 100 && times <= 400, `${times} in 10 s`);
  });

  it("keeps no timer once it is empty", async () => {
    const clock = new VirtualClock();
    const { enter, room } = roomAt(clock);
    const ticket = enter("fn");
    assert.equal(clock.pending, 1);

    room.leave(ticket, false);

    assert.equal(clock.pending, 0);
    assert.equal(room.size, 0);
  });
});
