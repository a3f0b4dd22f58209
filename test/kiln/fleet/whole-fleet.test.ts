import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { describeSeed, searchSeeds } from "../../../kiln/fleet/search-seeds.ts";
import { simulateFleet, type FleetFaults } from "../../../kiln/fleet/whole/fleet-world.ts";
import { acceptedTwice, refusedThoughRun, startWithCancel } from "../../../kiln/fleet/whole/planted-faults.ts";

describe("whole fleets, in any order of events", () => {
  it("keep their promises over 100 seeds", async () => {
    const found = await searchSeeds(async (seed) => void (await simulateFleet(seed)), { seeds: 100 });

    assert.equal(found, undefined, found && describeSeed("fleet", found));
  });

  it("live the same life again from the same seed", async () => {
    for (const seed of [1, 2, 3, 4, 5]) assert.deepEqual(await simulateFleet(seed), await simulateFleet(seed));
  });

  const planted: readonly [string, FleetFaults, RegExp][] = [
    ["a run after a cancel", startWithCancel, /sent "start" for a call that is/],
    ["a double accept", acceptedTwice, /sent "accepted" for a call that is/],
    ["a call that is run and refused", refusedThoughRun, /ran 2 times|protocol was broken/],
  ];
  for (const [what, faults, message] of planted) {
    it(`show ${what}, and show it again`, async () => {
      const found = await searchSeeds(async (seed) => void (await simulateFleet(seed, faults)), { seeds: 50 });

      assert.ok(found !== undefined, "the fault was planted, and nothing was seen");
      assert.match(String(found.error), message);
      await assert.rejects(simulateFleet(found.seed, faults), { message: (found.error as Error).message });
    });
  }
});
