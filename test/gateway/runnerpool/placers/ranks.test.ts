import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { Candidate, Rank, Snapshot } from "../../../../gateway/runnerpool/placers/candidate.ts";
import { PLACERS, ranksBy } from "../../../../gateway/runnerpool/placers/create-placer.ts";
import { chance, type Chance } from "../../../../kiln/fleet/chance.ts";
import { candidateFor, needFor } from "../../../../kiln/testing/candidate-for.ts";

const RANKS = ranksBy(1.25);

function snapshotOf(candidates: readonly Candidate[], changes: Partial<Snapshot> = {}): Snapshot {
  return { need: needFor("key"), candidates, chance: 0, now: 0, ...changes };
}

function firstOf(rank: Rank, snapshot: Snapshot): string | undefined {
  for (const index of rank(snapshot)) return snapshot.candidates[index]?.address;
  return undefined;
}

function anySnapshot(chosen: Chance): Snapshot {
  const candidates = Array.from({ length: chosen.below(40) }, (_, i) => {
    const totalMemoryMiB = chosen.below(4_000);
    return candidateFor(`runner-${i}`, {
      usable: chosen.happens(0.8),
      totalMemoryMiB,
      freeMemoryMiB: chosen.below(totalMemoryMiB + 1),
      inFlight: chosen.below(50),
      idle: chosen.happens(0.3) ? { key: chosen.below(3), other: chosen.below(3) } : {},
    });
  });
  return snapshotOf(candidates, { chance: chosen.next() });
}

for (const name of PLACERS) {
  describe(`the order of ${name}`, () => {
    it("has every runner once, and is the same for the same snapshot", () => {
      for (let seed = 0; seed < 300; seed++) {
        const snapshot = anySnapshot(chance(seed));

        const order = [...RANKS[name](snapshot)];

        const all = snapshot.candidates.map((_, index) => index);
        assert.deepEqual(
          [...order].sort((a, b) => a - b),
          all,
          `seed ${seed}`,
        );
        assert.deepEqual([...RANKS[name](snapshot)], order, `seed ${seed}`);
      }
    });
  });
}

describe("naive", () => {
  it("begins anywhere, as often here as there", () => {
    const candidates = ["a", "b", "c"].map((address) => candidateFor(address));
    const firsts = Array.from({ length: 9 }, (_, i) => firstOf(RANKS.naive, snapshotOf(candidates, { chance: i / 9 })));

    assert.deepEqual(firsts, ["a", "a", "a", "b", "b", "b", "c", "c", "c"]);
  });
});

/** How many of 20,000 functions each runner has first. */
function shares(candidates: readonly Candidate[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (let i = 0; i < 20_000; i++) {
    const first = firstOf(RANKS.ch, snapshotOf(candidates, { need: needFor(`fn-${i}`) })) ?? "";
    counts.set(first, (counts.get(first) ?? 0) + 1);
  }
  return counts;
}

describe("consistentHash", () => {
  for (const size of [2, 3, 8]) {
    it(`gives each of ${size} runners its part of the functions (unlike Fn: two had all on the first, Q18)`, () => {
      const candidates = Array.from({ length: size }, (_, i) => candidateFor(`10.0.0.${i}:9190`));

      for (const [address, count] of shares(candidates)) {
        const part = count / (20_000 / size);
        assert.ok(part > 0.92 && part < 1.08, `${address} has ${part} of its part`);
      }
    });
  }

  it("gives a runner of twice the memory twice the functions", () => {
    const candidates = [candidateFor("small"), candidateFor("large", { totalMemoryMiB: 2_048 })];

    const large = shares(candidates).get("large") ?? 0;

    assert.ok(Math.abs(large / 20_000 - 2 / 3) < 0.02, `${large}`);
  });

  it("moves only the functions of a runner that leaves", () => {
    const before = Array.from({ length: 5 }, (_, i) => candidateFor(`runner-${i}`));
    const after = before.filter(({ address }) => address !== "runner-2");
    for (let i = 0; i < 2_000; i++) {
      const need = needFor(`fn-${i}`);
      const was = firstOf(RANKS.ch, snapshotOf(before, { need }));

      const is = firstOf(RANKS.ch, snapshotOf(after, { need }));

      if (was !== "runner-2") assert.equal(is, was);
    }
  });

  it("gives no runner more than its bounded share, though all calls are of one function", () => {
    const calls = new Map<string, number>();
    for (let i = 0; i < 400; i++) {
      const candidates = ["a", "b", "c", "d"].map((address) =>
        candidateFor(address, { inFlight: calls.get(address) ?? 0 }),
      );
      const first = firstOf(RANKS.ch, snapshotOf(candidates)) ?? "";
      calls.set(first, (calls.get(first) ?? 0) + 1);
      const most = Math.max(...calls.values());
      assert.ok(most <= Math.ceil((1.25 * (i + 1)) / 4), `${most} of ${i + 1}`);
    }
  });
});

describe("leastLoaded", () => {
  it("looks at all of a small pool", () => {
    const candidates = [300, 700, 900, 100].map((freeMemoryMiB, i) => candidateFor(`runner-${i}`, { freeMemoryMiB }));
    for (let i = 0; i < 10; i++) {
      assert.equal(firstOf(RANKS["least-loaded"], snapshotOf(candidates, { chance: i / 10 })), "runner-2");
    }
  });

  it("puts a runner last that has no room, however little of it is booked", () => {
    const need = needFor("key", { memoryMiB: 900 });
    const candidates = [
      candidateFor("free but small", { totalMemoryMiB: 512 }),
      candidateFor("large and half full", { totalMemoryMiB: 2_048, freeMemoryMiB: 1_024 }),
    ];

    assert.equal(firstOf(RANKS["least-loaded"], snapshotOf(candidates, { need })), "large and half full");
  });

  it("looks at two of a large pool, and is still nearly even", () => {
    const { next } = chance(7);
    const size = 100;
    const asked = new Set<number>();
    const calls = Array.from({ length: size }, () => 0);
    for (let i = 0; i < 2_000; i++) {
      const looked = new Set<string>();
      const candidates = calls.map((count, index): Candidate => {
        const freeMemoryMiB = 10_000 - count * 128;
        const facts = candidateFor(`runner-${index}`, { freeMemoryMiB, totalMemoryMiB: 10_000 });
        const { address, usable, freeCpuMillis, totalMemoryMiB, totalCpuMillis, idleTotal, inFlight, toldAt } = facts;
        const plain = { address, usable, freeMemoryMiB, freeCpuMillis, totalMemoryMiB, totalCpuMillis };
        const placeFor: Candidate["placeFor"] = (need) => {
          looked.add(address);
          return facts.placeFor(need);
        };
        return { ...plain, idleTotal, inFlight, toldAt, idle: (key) => facts.idle(key), placeFor };
      });
      const [first = 0] = RANKS["least-loaded"](snapshotOf(candidates, { chance: next() }));
      calls[first] = (calls[first] ?? 0) + 1;
      asked.add(looked.size);
    }

    assert.deepEqual([...asked], [2]);
    assert.ok(Math.max(...calls) <= 25, `the fullest of 100 has ${Math.max(...calls)} of 2,000 calls`);
  });
});

describe("warmFirst", () => {
  it("goes where an idle container is, and of two such where less is booked", () => {
    const candidates = [
      candidateFor("free"),
      candidateFor("warm and full", { freeMemoryMiB: 0, idle: { key: 3 } }),
      candidateFor("warm", { freeMemoryMiB: 512, idle: { key: 1 } }),
    ];

    assert.deepEqual([...RANKS["warm-first"](snapshotOf(candidates))].slice(0, 2), [2, 1]);
  });

  it("goes where hashing says while nobody is warm, so that the next call finds the container", () => {
    const candidates = ["a", "b", "c", "d"].map((address) => candidateFor(address));
    for (let i = 0; i < 100; i++) {
      const snapshot = snapshotOf(candidates, { need: needFor(`fn-${i}`), chance: i / 100 });
      assert.equal(firstOf(RANKS["warm-first"], snapshot), firstOf(RANKS.ch, snapshot));
    }
  });

  it("leaves a runner for the last that has no room for another container", () => {
    const full = ["a", "b", "c"].map((address) => candidateFor(address, { freeMemoryMiB: 0 }));

    assert.equal(firstOf(RANKS["warm-first"], snapshotOf([...full, candidateFor("d")])), "d");
  });
});
