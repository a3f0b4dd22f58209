import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { CallError } from "../../core/call-error.ts";
import type { PlacerOptions } from "../../gateway/runnerpool/placers/create-placer.ts";
import type { Placer, Runner } from "../../gateway/runnerpool/runnerpool.ts";
import { callFor } from "./call-for.ts";
import { collectedCall } from "./collected-call.ts";
import { FakePool } from "./fake-pool.ts";
import { answers, FakeRunner, fails, refuses, someTurns } from "./fake-runner.ts";
import { VirtualClock } from "./virtual-clock.ts";

type Options = Omit<PlacerOptions, "placer">;

const never = new AbortController().signal;

/** What every placer owes a call, whatever order it asks runners in. */
export function describePlacer(name: string, make: (options: Options) => Placer): void {
  describe(`${name} placer`, () => {
    const worlds = (changes: Partial<Options> = {}) => {
      const clock = new VirtualClock();
      const options = { clock, timeoutMs: 1_000, detachedTimeoutMs: 100, retryDelayMs: 10, random: () => 0.5 };
      const placer = make({ ...options, ...changes });
      const place = (pool: FakePool, fn = "fn", signal = never, changed = {}) => {
        const { runnerCall } = collectedCall(callFor(fn, changed));
        const placed = placer.place(runnerCall, pool, signal);
        placed.catch(() => {});
        return { placed, runnerCall };
      };
      return { clock, place };
    };
    const full = (address: string) => new FakeRunner(address, refuses());
    const saysBusy = (error: unknown) => error instanceof CallError && error.code === "server_busy";

    it("asks every runner once, and then again only when there is news", async () => {
      const { place, clock } = worlds();
      const runners = Array.from({ length: 20 }, (_, i) => full(`runner-${i}`));
      place(new FakePool(...runners));

      await someTurns();

      assert.deepEqual(new Set(runners.map(({ offered }) => offered.length)), new Set([1]));
      await clock.run(2_000);
      assert.equal(clock.pending, 0, "no timer is left behind");
    });

    it("asks nobody after a runner took the call, however it failed there", async () => {
      const { place } = worlds();
      const runners = ["a", "b", "c"].map((address) => new FakeRunner(address, fails("function_failed")));

      const { runner, attempts } = await place(new FakePool(...runners)).placed;

      assert.equal(attempts, 1);
      assert.deepEqual(
        runners.filter(({ offered }) => offered.length > 0).map(({ address }) => address),
        [runner.address],
      );
    });

    it("ends at once when a runner says that none would take the call", async () => {
      const { place } = worlds();
      const runners = ["a", "b"].map((address) => new FakeRunner(address, refuses("invalid_call", "any_runner")));

      await assert.rejects(place(new FakePool(...runners)).placed, { code: "invalid_call" });
      assert.equal(
        runners.reduce((sum, { offered }) => sum + offered.length, 0),
        1,
      );
    });

    it("leaves out a runner that is known to be away or to drain, unless there is no other", async () => {
      const { place } = worlds();
      const [away, draining, here] = [new FakeRunner("a"), new FakeRunner("b"), new FakeRunner("c")];
      away.connected = false;
      draining.draining = true;

      for (let i = 0; i < 10; i++) await place(new FakePool(away, draining, here)).placed;
      await place(new FakePool(away)).placed;

      assert.deepEqual([away.offered.length, draining.offered.length, here.offered.length], [1, 0, 10]);
    });

    it("gives the place that a runner tells of to the call that waits longest, and wakes no other", async () => {
      const { place, clock } = worlds();
      let free = false;
      const runner: FakeRunner = new FakeRunner("a", (call, self, signal) =>
        (free ? answers("") : refuses())(call, self, signal),
      );
      const pool = new FakePool(runner);
      const waiting = Array.from({ length: 5 }, () => place(pool));
      await someTurns();
      const asked = runner.offered.length;
      free = true;

      runner.tell({ freeMemoryMiB: 0, idle: { [waiting[0]?.runnerCall.affinityKey ?? ""]: 2 } });
      await someTurns();

      assert.equal(runner.offered.length - asked, 2);
      assert.deepEqual(
        runner.offered.slice(asked).map(({ call }) => call.id),
        waiting.slice(0, 2).map(({ runnerCall }) => runnerCall.call.id),
      );
      assert.equal(clock.now(), 0);
    });

    it("gives the place of a call that ended to the next that waits", async () => {
      const { place } = worlds();
      let free = 1;
      const runner: FakeRunner = new FakeRunner("a", (call, self, signal) =>
        (free-- > 0 ? answers("") : refuses())(call, self, signal),
      );
      runner.tell({ freeMemoryMiB: 128 });
      const pool = new FakePool(runner);
      const first = place(pool);
      await first.placed;
      const second = place(pool);
      await someTurns();
      free = 1;

      runner.ended(first.runnerCall);

      assert.equal((await second.placed).runner, runner);
    });

    it("lets nobody overtake those that wait", async () => {
      const { place } = worlds();
      const runner = full("a");
      const pool = new FakePool(runner);
      place(pool);
      await someTurns();

      place(pool);
      await someTurns();

      assert.equal(runner.offered.length, 1, "the second was not offered: it stands behind the first");
    });

    it("refuses what the queue does not hold, by function and in all", async () => {
      const { place } = worlds({ queue: { perFunction: 2, total: 3 } });
      const pool = new FakePool(full("a"));
      for (const fn of ["one", "one", "two"]) place(pool, fn);
      await someTurns();

      const message = /FN_QUEUE_SIZE\)/;
      await assert.rejects(place(pool, "three").placed, (error) => saysBusy(error) && message.test(String(error)));
      await assert.rejects(place(pool, "one").placed, saysBusy);
    });

    it("forgets a call at once whose client left, and keeps nothing of it", async () => {
      const { place, clock } = worlds({ queue: { perFunction: 1, total: 1 } });
      const pool = new FakePool(full("a"));
      const leaving = new AbortController();
      const { placed } = place(pool, "fn", leaving.signal);
      await someTurns();

      leaving.abort(new CallError("client_cancel"));

      await assert.rejects(placed, { code: "client_cancel" });
      assert.equal(clock.pending, 0);
      place(pool);
      await someTurns();
      assert.ok(clock.pending > 0, "there is room for another");
    });

    it("asks again when the pool has other members", async () => {
      const { place, clock } = worlds();
      const late: Runner = new FakeRunner("late");
      const pool = new FakePool();
      const { placed } = place(pool);
      await someTurns();

      pool.members = [late];
      pool.changed();
      await clock.run(20);

      assert.equal((await placed).runner, late);
    });
  });
}
