import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { CallError } from "../../../core/call-error.ts";
import { SlotBench, slotRequest } from "../../../kiln/testing/slot-bench.ts";

/** Of these tests: nothing is frozen, and nobody waits for a busy container. */
function tableOf(memoryMiB: number) {
  const bench = new SlotBench({ memoryMiB });
  const { table, clock, resources, launches } = bench;
  return {
    table,
    clock,
    resources,
    launches,
    removed: bench.wanted,
    ask: (name: string, memory = 100) => bench.ask(name, { memoryMiB: memory }),
    warm: (name: string, container: string, memory = 100) => bench.warm(name, container, { memoryMiB: memory }),
  };
}

const request = (name: string, memoryMiB: number) => slotRequest(name, { memoryMiB });

describe("SlotTable", () => {
  it("starts a container for a call that finds none, and hands it over", () => {
    const { table, launches, ask, resources } = tableOf(1_000);

    const { caller, acquired } = ask("a");
    assert.equal(acquired.kind, "waiting");
    assert.equal(resources.free.memoryMiB, 900);
    const [ticket] = launches;
    assert.ok(ticket !== undefined);
    table.launched(ticket, "c1");

    assert.equal(caller.slot?.container, "c1");
  });

  it("hands out the newest idle container first", () => {
    const { warm, ask } = tableOf(1_000);
    warm("a", "old");
    const first = ask("a").acquired;
    assert.ok(first.kind === "slot");

    assert.equal(first.slot.container, "old");
  });

  it("prefers the container that was used last", () => {
    const { table, launches, ask } = tableOf(1_000);
    const one = ask("a").caller;
    const two = ask("a").caller;
    launches.splice(0).forEach((ticket, i) => table.launched(ticket, `c${i}`));
    assert.ok(one.slot !== undefined && two.slot !== undefined);
    table.release(one.slot, false);
    table.release(two.slot, false);

    const { acquired } = ask("a");

    assert.ok(acquired.kind === "slot");
    assert.equal(acquired.slot.container, two.slot.container);
  });

  it("gives a freed container to the call that waits longest", () => {
    const { table, launches, ask } = tableOf(1_000);
    const busy = ask("a").caller;
    table.launched(launches.splice(0)[0] ?? assert.fail(), "c1");
    const waits = ask("a").caller;
    const waitsToo = ask("a").caller;
    assert.ok(busy.slot !== undefined);

    table.release(busy.slot, false);

    assert.equal(waits.slot?.container, "c1");
    assert.equal(waitsToo.slot, undefined);
  });

  it("starts none for a call that a container on its way is left over for", () => {
    const { table, launches, ask } = tableOf(1_000);
    const busy = ask("a").caller;
    table.launched(launches.splice(0)[0] ?? assert.fail(), "c1");
    ask("a");
    assert.ok(busy.slot !== undefined);
    table.release(busy.slot, false);

    const { caller, acquired } = ask("a");

    assert.equal(acquired.kind, "waiting");
    assert.equal(launches.length, 1);
    table.launched(launches[0] ?? assert.fail(), "c2");
    assert.equal(caller.slot?.container, "c2");
  });

  it("keeps a start that waits for room when its call has left and another counts on it", () => {
    const { table, launches, ask } = tableOf(200);
    const first = ask("a").caller;
    table.launched(launches.splice(0)[0] ?? assert.fail(), "c1");
    const other = ask("b").caller;
    table.launched(launches.splice(0)[0] ?? assert.fail(), "c2");
    assert.ok(first.slot !== undefined && other.slot !== undefined);
    table.release(other.slot, false);
    const blocked = ask("a").caller;
    table.release(first.slot, false);
    assert.equal(blocked.slot?.container, "c1");
    const counts = ask("a").caller;

    table.leave(request("a", 100).key, blocked);
    table.gone("c2");

    table.launched(launches[0] ?? assert.fail(), "c3");
    assert.equal(counts.slot?.container, "c3");
  });

  it("never hands out a container that a call broke", () => {
    const { table, launches, removed, ask, resources } = tableOf(1_000);
    const { caller } = ask("a");
    table.launched(launches[0] ?? assert.fail(), "c1");
    assert.ok(caller.slot !== undefined);

    table.release(caller.slot, true);

    assert.deepEqual(removed, ["remove c1: broken"]);
    assert.equal(ask("a").acquired.kind, "waiting");
    assert.equal(resources.free.memoryMiB, 800, "its memory is booked until it is gone");
    table.gone("c1");
    assert.equal(resources.free.memoryMiB, 900);
  });

  it("removes a container that was idle for its timeout", () => {
    const { clock, removed, warm, ask } = tableOf(1_000);
    warm("a", "c1");

    clock.advance(999);
    assert.deepEqual(removed, []);
    clock.advance(1);

    assert.deepEqual(removed, ["remove c1: idle"]);
    assert.equal(ask("a").acquired.kind, "waiting");
  });

  it("counts idleness from the last call, not the first", () => {
    const { table, clock, removed, warm, ask } = tableOf(1_000);
    warm("a", "c1");
    clock.advance(900);
    const { acquired } = ask("a");
    assert.ok(acquired.kind === "slot");
    table.release(acquired.slot, false);

    clock.advance(900);
    assert.deepEqual(removed, []);
    clock.advance(100);

    assert.deepEqual(removed, ["remove c1: idle"]);
  });

  it("refuses when all is busy, saying what is free", () => {
    const { ask } = tableOf(150);
    ask("a");

    const { acquired } = ask("b");

    assert.ok(acquired.kind === "refused");
    assert.equal(acquired.reason.code, "server_busy");
    assert.match(acquired.reason.message, /needs 100 MiB .* free are 50 MiB/);
  });

  it("refuses what could never fit as such", () => {
    const { ask } = tableOf(150);

    const { acquired } = ask("a", 200);

    assert.ok(acquired.kind === "refused");
    assert.equal(acquired.reason.code, "resource_too_big");
    assert.equal(acquired.scope, "this_runner", "another runner may be larger");
  });

  it("evicts the oldest idle container, and starts only when it is gone", () => {
    const { table, clock, launches, removed, warm, ask } = tableOf(250);
    warm("a", "older");
    clock.advance(10);
    warm("b", "newer");

    const { acquired } = ask("c");
    assert.equal(acquired.kind, "waiting");
    assert.deepEqual(removed, ["remove older: evicted"]);
    assert.equal(launches.length, 0);
    table.gone("older");

    assert.equal(launches.length, 1);
  });

  it("evicts nothing when that would not be enough", () => {
    const { removed, warm, ask } = tableOf(250);
    warm("a", "idle");
    ask("b");

    const { acquired } = ask("c", 200);

    assert.equal(acquired.kind, "refused");
    assert.deepEqual(removed, []);
  });

  it("promises what a leaving container frees to one call only", () => {
    const { table, launches, warm, ask } = tableOf(100);
    warm("a", "idle");

    assert.equal(ask("b").acquired.kind, "waiting");
    assert.equal(ask("c").acquired.kind, "refused");
    table.gone("idle");

    assert.equal(launches.length, 1);
  });

  it("tells a failed start to the call that has no container to wait for, and gives everything back", () => {
    const { table, launches, ask, resources } = tableOf(1_000);
    const { caller } = ask("a");

    table.launchFailed(launches[0] ?? assert.fail(), new CallError("container_init_failed"));

    assert.equal(caller.reason?.code, "container_init_failed");
    assert.equal(resources.free.memoryMiB, 1_000);
    assert.equal(table.size, 0);
  });

  it("does not tell a failed start to a call that another container served", () => {
    const { table, launches, ask } = tableOf(1_000);
    const first = ask("a").caller;
    table.launched(launches.splice(0)[0] ?? assert.fail(), "c1");
    const second = ask("a").caller;
    assert.ok(first.slot !== undefined);
    table.release(first.slot, false);
    assert.equal(second.slot?.container, "c1");

    table.launchFailed(launches[0] ?? assert.fail(), new CallError("container_init_failed"));

    assert.equal(second.reason, undefined);
  });

  it("keeps the container of a call that left before it was ready", () => {
    const { table, launches, ask } = tableOf(1_000);
    const { caller } = ask("a");
    const asked = launches[0] ?? assert.fail();
    table.leave(asked.request.key, caller);

    table.launched(asked, "c1");

    assert.equal(caller.slot, undefined);
    assert.equal(ask("a").acquired.kind, "slot");
  });

  it("forgets the promised start of a call that left while it waited for an eviction", () => {
    const { table, launches, warm, ask, resources } = tableOf(100);
    warm("a", "idle");
    const { caller } = ask("b");
    table.leave(request("b", 100).key, caller);

    table.gone("idle");

    assert.equal(launches.length, 0);
    assert.equal(resources.free.memoryMiB, 100);
    assert.equal(table.size, 0);
  });

  it("lets no newcomer take the room that others are evicted for", () => {
    const { table, launches, removed, warm, ask } = tableOf(200);
    warm("a", "a1");
    warm("b", "b1");
    assert.equal(ask("big", 200).acquired.kind, "waiting");
    assert.deepEqual(removed, ["remove a1: evicted", "remove b1: evicted"]);
    table.gone("a1");

    assert.equal(ask("newcomer").acquired.kind, "refused");
    table.gone("b1");

    assert.deepEqual(
      launches.map(({ request }) => request.affinityKey),
      ["big"],
    );
  });

  it("evicts for a blocked start what becomes idle after it began to wait", () => {
    const { table, launches, removed, warm, ask } = tableOf(300);
    warm("a", "a1");
    warm("b", "b1");
    const other = ask("c").caller;
    assert.equal(ask("big", 200).acquired.kind, "waiting");
    table.launched(launches.splice(0)[0] ?? assert.fail(), "c1");
    assert.ok(other.slot !== undefined);
    table.gone("a1");
    removed.length = 0;

    table.release(other.slot, false);
    assert.deepEqual(removed, [], "what is leaving already is enough");
    table.gone("b1");

    assert.equal(launches.length, 1);
  });

  it("starts nothing more for a call that another's container served meanwhile", () => {
    const { table, launches, warm, ask } = tableOf(200);
    const first = ask("a").caller;
    table.launched(launches.splice(0)[0] ?? assert.fail(), "a1");
    warm("b", "b1");
    const second = ask("a").caller;
    assert.ok(first.slot !== undefined);

    table.release(first.slot, false);
    table.gone("b1");

    assert.equal(second.slot?.container, "a1");
    assert.equal(launches.length, 0);
  });

  it("never keeps a container that died while a call still held it", () => {
    const { table, launches, removed, ask } = tableOf(1_000);
    const { caller } = ask("a");
    table.launched(launches[0] ?? assert.fail(), "c1");
    assert.ok(caller.slot !== undefined);

    table.died("c1");
    assert.deepEqual(removed, []);
    table.release(caller.slot, false);

    assert.deepEqual(removed, ["remove c1: broken"]);
  });

  it("remembers no key that it has nothing of", () => {
    const { table, launches, ask } = tableOf(100);
    const { caller } = ask("a");
    table.launched(launches[0] ?? assert.fail(), "c1");
    for (let i = 0; i < 10; i++) ask(`busy ${i}`);
    for (let i = 0; i < 10; i++) ask(`too big ${i}`, 200);
    assert.ok(caller.slot !== undefined);

    table.release(caller.slot, true);
    table.gone("c1");

    assert.equal(table.keys, 0);
  });

  it("closes: a blocked start fails the call that no other container is on its way for", () => {
    const { table, launches, warm, ask } = tableOf(200);
    warm("b", "b1");
    const served = ask("a").caller;
    const blocked = ask("a").caller;

    table.close();
    table.launched(launches[0] ?? assert.fail(), "a1");

    assert.equal([served, blocked].filter(({ slot }) => slot !== undefined).length, 1);
    assert.equal([served, blocked].filter(({ reason }) => reason?.code === "shutting_down").length, 1);
  });

  it("closes: idle containers go at once, busy ones when released, new calls are refused", () => {
    const { table, launches, removed, warm, ask } = tableOf(1_000);
    warm("a", "idle");
    const { caller } = ask("b");
    table.launched(launches[0] ?? assert.fail(), "busy");

    table.close();
    assert.deepEqual(removed, ["remove idle: closing"]);
    const { acquired } = ask("a");
    assert.ok(acquired.kind === "refused" && acquired.reason.code === "shutting_down");
    assert.ok(caller.slot !== undefined);
    table.release(caller.slot, false);

    assert.deepEqual(removed, ["remove idle: closing", "remove busy: closing"]);
  });
});
