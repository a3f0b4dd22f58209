import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Roster, type Seat } from "../../core/roster.ts";
import { promotedBytes } from "../../kiln/testing/promoted-bytes.ts";

describe("Roster", () => {
  it("keeps items in the order they came, whoever leaves", () => {
    const roster = new Roster<string>();
    const [a, b, c, d] = ["a", "b", "c", "d"].map((item) => roster.add(item));
    assert.ok(a !== undefined && b !== undefined && c !== undefined && d !== undefined);
    roster.remove(b);
    assert.deepEqual([...roster], ["a", "c", "d"]);
    roster.remove(a);
    roster.remove(d);
    assert.deepEqual([...roster], ["c"]);
    roster.add("e");
    assert.deepEqual([...roster], ["c", "e"]);
    assert.equal(roster.size, 2);
  });

  it("takes nobody out twice, and nobody else for one who has left", () => {
    const roster = new Roster<string>();
    const alone = roster.add("alone");
    roster.remove(alone);
    roster.remove(alone);
    const next = roster.add("next");
    roster.remove(alone);
    assert.deepEqual([...roster], ["next"]);
    roster.remove(next);
    assert.deepEqual([...roster], []);
    assert.equal(roster.size, 0);
  });

  it("keeps nobody who has left alive for young collections, as a Set does", async () => {
    const roster = new Roster<object>();
    const seats: Seat<object>[] = [];
    const promoted = await promotedBytes(() => {
      for (let i = 0; i < 200; i++) {
        seats.push(roster.add({ large: Array.from({ length: 500 }, (_, at) => ({ at })) }));
        const left = seats.length > 3 ? seats.shift() : undefined;
        if (left !== undefined) roster.remove(left);
      }
    });
    assert.ok(promoted < 1_000_000, `${promoted} bytes`);
  });

  it("goes through those that were there when it began", () => {
    const roster = new Roster<number>();
    const seats = [1, 2, 3].map((item) => roster.add(item));
    const met: number[] = [];
    for (const item of roster) {
      met.push(item);
      for (const seat of seats) roster.remove(seat);
      roster.add(4);
    }
    assert.deepEqual(met, [1, 2, 3]);
    assert.deepEqual([...roster], [4, 4, 4]);
  });
});
