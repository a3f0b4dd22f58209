import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { DueItems } from "../../../runner/slots/due-items.ts";

const item = (name: string) => ({ name });

describe("DueItems", () => {
  it("gives what is due, the earliest first, and nothing else", () => {
    const items = new DueItems<{ name: string }>();
    // Every order of a few moments, by a step that meets each of them once.
    const moments = Array.from({ length: 101 }, (_, i) => (i * 37) % 101);
    for (const at of moments) items.add(item(String(at)), at);

    const due = items.take(49).map(({ name }) => Number(name));

    assert.deepEqual(
      due,
      Array.from({ length: 50 }, (_, at) => at),
    );
    assert.equal(items.first, 50);
    assert.equal(items.take(1_000).length, 51);
    assert.equal(items.first, Infinity);
  });

  it("has an item once, at the earlier of two moments", () => {
    const items = new DueItems<{ name: string }>();
    const one = item("one");

    items.add(one, 10);
    items.add(one, 20);
    items.add(one, 5);

    assert.deepEqual(items.take(5), [one]);
    assert.deepEqual(items.take(100), []);
  });

  it("forgets what is deleted, and takes it again", () => {
    const items = new DueItems<{ name: string }>();
    const one = item("one");
    items.add(one, 10);

    items.delete(one);
    items.add(one, 30);

    assert.deepEqual(items.take(20), []);
    assert.deepEqual(items.take(30), [one]);
  });
});
