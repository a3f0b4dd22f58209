import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { NumberMap } from "../../core/number-map.ts";
import { chance } from "../../kiln/fleet/chance.ts";
import { promotedBytes } from "../../kiln/testing/promoted-bytes.ts";

interface Item {
  readonly name: string;
}

const sorted = (entries: Iterable<[number, Item]>) => [...entries].sort(([a], [b]) => a - b);

describe("NumberMap", () => {
  it("has what a Map has, whatever comes and goes", () => {
    const luck = chance(7);
    const map = new NumberMap<Item>();
    const known = new Map<number, Item>();
    let last = 0;
    for (let step = 0; step < 20_000; step++) {
      // Many at first, then few: those that stay for long have the places of others by then.
      const wanted = step < 5_000 ? 500 : 5;
      const some = known.size === 0 ? undefined : luck.pick([...known.keys()]);
      if (some === undefined || luck.happens(known.size < wanted ? 0.7 : 0.3)) {
        const number = (last += 1 + luck.below(3));
        const item = { name: `item ${number}` };
        map.set(number, item);
        known.set(number, item);
      } else if (luck.happens(0.1)) {
        const item = { name: `another ${some}` };
        map.set(some, item);
        known.set(some, item);
      } else {
        assert.equal(map.delete(some), true);
        known.delete(some);
        assert.equal(map.delete(some), false);
      }
      assert.equal(map.size, known.size);
      if (some !== undefined) assert.equal(map.get(some), known.get(some));
      if (step % 500 === 0) assert.deepEqual(sorted(map), sorted(known));
    }
    assert.deepEqual(sorted(map), sorted(known));
    map.clear();
    assert.equal(map.size, 0);
    assert.deepEqual([...map], []);
  });

  it("keeps nothing of what was deleted alive for young collections, as a Map does", async () => {
    const map = new NumberMap<object>();
    let last = 0;
    const promoted = await promotedBytes(() => {
      for (let i = 0; i < 200; i++) {
        last += 1;
        map.set(last, { large: Array.from({ length: 500 }, (_, at) => ({ at })) });
        map.delete(last - 3);
      }
    });
    // Of 13 MB, where it is a Map.
    assert.ok(promoted < 1_000_000, `${promoted} bytes`);
  });

  it("goes through all that were there when it began, whatever goes meanwhile", () => {
    const map = new NumberMap<Item>();
    const numbers = [1, 22, 43, 2, 23, 44, 3];
    for (const number of numbers) map.set(number, { name: String(number) });
    const met: number[] = [];
    for (const [number] of map) {
      met.push(number);
      map.delete(number);
    }
    assert.deepEqual(
      met.sort((a, b) => a - b),
      numbers.sort((a, b) => a - b),
    );
    assert.equal(map.size, 0);
  });

  it("keeps apart what shares a place, up to the largest number of a call", () => {
    const map = new NumberMap<Item>();
    const numbers = [1, 22, 43, 2, 0xffff_ffff, 0xffff_fff4];
    for (const number of numbers) map.set(number, { name: String(number) });
    assert.equal(map.delete(22), true);
    assert.equal(map.has(22), false);
    for (const number of [1, 43, 2, 0xffff_ffff, 0xffff_fff4]) assert.equal(map.get(number)?.name, String(number));
  });
});
