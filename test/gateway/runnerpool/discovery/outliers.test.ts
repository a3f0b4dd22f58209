import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Outliers } from "../../../../gateway/runnerpool/discovery/outliers.ts";
import { chance } from "../../../../kiln/fleet/chance.ts";
import { VirtualClock } from "../../../../kiln/testing/virtual-clock.ts";

const LIMITS = { failures: 3, baseMs: 1_000, growth: 2, maxMs: 5_000 };
const POOL = ["a", "b", "c", "d"];

function outliersAt(clock: VirtualClock, limits = LIMITS) {
  const outliers = new Outliers(limits, clock);
  const fail = (address: string, times = limits.failures) => {
    let ejectedMs: number | undefined;
    for (let i = 0; i < times; i++) ejectedMs = outliers.failed(address) ?? ejectedMs;
    return ejectedMs;
  };
  return { outliers, fail, out: () => [...outliers.ejected(POOL)] };
}

describe("Outliers", () => {
  it("leave a runner out after so many failures in a row, and let it in again", () => {
    const clock = new VirtualClock();
    const { outliers, fail, out } = outliersAt(clock);
    fail("a", 2);
    outliers.succeeded("a");
    fail("a", 2);
    assert.deepEqual(out(), []);

    outliers.failed("a");

    assert.deepEqual(out(), ["a"]);
    clock.advance(1_000);
    assert.deepEqual(out(), []);
  });

  it("leave it out for longer each time, up to a limit, until it has been well for as long", () => {
    const clock = new VirtualClock();
    const { outliers, fail } = outliersAt(clock);
    const lasted: unknown[] = [];
    for (let i = 0; i < 4; i++) {
      const ms = fail("a");
      lasted.push(ms);
      clock.advance(ms ?? 0);
    }
    assert.deepEqual(lasted, [1_000, 2_000, 4_000, 5_000]);

    clock.advance(5_000);
    outliers.succeeded("a");

    assert.equal(fail("a"), 1_000);
  });

  it("never leave out more than half of a pool, however many fail", () => {
    for (let seed = 0; seed < 100; seed++) {
      const chosen = chance(seed);
      const clock = new VirtualClock();
      const { outliers } = outliersAt(clock);
      const pool = Array.from({ length: 1 + chosen.below(9) }, (_, i) => `runner-${i}`);
      for (let step = 0; step < 200; step++) {
        if (chosen.happens(0.8)) outliers.failed(chosen.pick(pool));
        else outliers.succeeded(chosen.pick(pool));
        clock.advance(chosen.below(200));
        assert.ok(outliers.ejected(pool).size <= pool.length / 2, `seed ${seed}`);
      }
    }
  });

  it("never leave out anyone where that is turned off", () => {
    const { fail, out } = outliersAt(new VirtualClock(), { ...LIMITS, failures: 0 });

    fail("a", 100);

    assert.deepEqual(out(), []);
  });
});
