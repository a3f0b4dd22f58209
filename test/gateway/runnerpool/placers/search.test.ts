import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { CallError } from "../../../../core/call-error.ts";
import { createPlacer } from "../../../../gateway/runnerpool/placers/create-placer.ts";
import type { PlacementLine } from "../../../../gateway/runnerpool/placers/placement-log.ts";
import { callFor } from "../../../../kiln/testing/call-for.ts";
import { collectedCall } from "../../../../kiln/testing/collected-call.ts";
import { FakePool } from "../../../../kiln/testing/fake-pool.ts";
import { answers, FakeRunner, refuses } from "../../../../kiln/testing/fake-runner.ts";
import { VirtualClock } from "../../../../kiln/testing/virtual-clock.ts";

const TIMEOUTS = { timeoutMs: 1_000, detachedTimeoutMs: 1_000, retryDelayMs: 10 };

describe("a search whose placement is noted", () => {
  // Whichever of them hashing has last, the news of one of the two would put it first.
  for (const newlyWarm of ["b", "c"]) {
    it(`asks in the order that it notes, though ${newlyWarm} turns warm on the way`, async () => {
      const { runnerCall } = collectedCall(callFor("fn"));
      const idle = { [runnerCall.affinityKey]: 1 };
      const asked: string[] = [];
      const others = ["b", "c"].map(
        (address) =>
          new FakeRunner(address, (...offered) => {
            asked.push(address);
            return (asked.length === 3 ? answers("") : refuses())(...offered);
          }),
      );
      const first = new FakeRunner("a", (...offered) => {
        asked.push("a");
        others.find(({ address }) => address === newlyWarm)?.tell({ idle });
        return refuses()(...offered);
      });
      first.tell({ idle });
      const lines: PlacementLine[] = [];
      const clock = new VirtualClock();
      const placer = createPlacer({ placer: "warm-first", clock, log: (line) => lines.push(line), ...TIMEOUTS });

      await placer.place(runnerCall, new FakePool(first, ...others), new AbortController().signal);

      const placed = lines.find((line) => line.kind === "placed");
      assert.deepEqual(
        placed?.runners.map(({ address }) => address),
        asked,
      );
      assert.equal(asked.length, 3);
    });
  }
});

describe("a search whose client leaves", () => {
  it("does not wait where the last runner has refused meanwhile", { timeout: 10_000 }, async () => {
    const client = new AbortController();
    const runner = new FakeRunner("a", (...offered) => {
      client.abort(new CallError("client_cancel"));
      return refuses()(...offered);
    });
    const placer = createPlacer({ clock: new VirtualClock(), ...TIMEOUTS });

    const left = placer.place(collectedCall(callFor("fn")).runnerCall, new FakePool(runner), client.signal);

    await assert.rejects(left, { code: "client_cancel" });
  });

  it("takes no room from the next where it has not asked a runner", async () => {
    const { runnerCall } = collectedCall(callFor("fn"));
    const rooms: unknown[] = [];
    const placer = createPlacer({
      placer({ candidates }) {
        rooms.push(candidates.map(({ freeMemoryMiB }) => freeMemoryMiB));
        return candidates.keys();
      },
      clock: new VirtualClock(),
      ...TIMEOUTS,
    });
    const pool = new FakePool(new FakeRunner("a"), new FakeRunner("b"));
    const client = new AbortController();

    const left = placer.place(runnerCall, pool, client.signal);
    client.abort(new CallError("client_cancel"));
    await assert.rejects(left, { code: "client_cancel" });
    await placer.place(runnerCall, pool, new AbortController().signal);

    assert.deepEqual(rooms.at(-1), [1_024, 1_024]);
  });
});
