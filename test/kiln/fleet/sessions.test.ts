import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { describeSeed, searchSeeds } from "../../../kiln/fleet/search-seeds.ts";
import { doubleAccept, lostCredit, runAfterCancel } from "../../../kiln/fleet/sessions/planted-faults.ts";
import { simulateSessions, type PlantedFaults } from "../../../kiln/fleet/sessions/session-world.ts";

describe("sessions, in any order of events", () => {
  it("keep their promises over 10,000 seeds", async () => {
    const found = await searchSeeds((seed) => simulateSessions(seed), { seeds: 10_000 });

    assert.equal(found, undefined, found && describeSeed("sessions", found));
  });

  const planted: readonly [string, PlantedFaults, RegExp][] = [
    ["a lost credit", lostCredit, /is stuck/],
    ["a run after a cancel", runAfterCancel, /ran after it was cancelled|ran 2 times/],
    ["a double accept", doubleAccept, /"accepted" for a call that is/],
  ];
  for (const [what, faults, message] of planted) {
    it(`show ${what} within 2,000 seeds, and show it again`, async () => {
      const found = await searchSeeds((seed) => simulateSessions(seed, faults), { seeds: 2_000 });

      assert.ok(found !== undefined, "the fault was planted, and nothing was seen");
      assert.match(String(found.error), message);
      assert.throws(() => simulateSessions(found.seed, faults), { message: (found.error as Error).message });
    });
  }
});
