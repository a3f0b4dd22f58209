import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Turns } from "../../../runner/slots/turns.ts";

interface Item {
  readonly name: string;
}

function turnsOf(width: number, entering: Readonly<Record<string, number>>) {
  const turns = new Turns<Item>(width);
  const items = new Map<string, Item>();
  for (const [owner, count] of Object.entries(entering)) {
    for (let i = 1; i <= count; i += 1) {
      const item = { name: `${owner}${i}` };
      items.set(item.name, item);
      turns.enter(owner, item);
    }
  }
  const nextName = () => turns.next()?.name;
  const leave = (name: string) => turns.leave(name.slice(0, 1), items.get(name) ?? assert.fail(name));
  return { turns, nextName, leave };
}

describe("Turns", () => {
  it("lets owners begin in turn, so that the burst of one holds up nobody's first", () => {
    const { nextName, leave } = turnsOf(1, { a: 50, b: 1, c: 1 });

    const order: (string | undefined)[] = [];
    for (let i = 0; i < 5; i += 1) {
      const name = nextName();
      order.push(name);
      leave(name ?? assert.fail());
    }

    assert.deepEqual(order, ["a1", "b1", "c1", "a2", "a3"]);
  });

  it("lets no more begin than there are places", () => {
    const { nextName, leave } = turnsOf(2, { a: 3 });

    assert.deepEqual([nextName(), nextName(), nextName()], ["a1", "a2", undefined]);
    leave("a1");
    assert.deepEqual([nextName(), nextName()], ["a3", undefined]);
  });

  it("forgets what leaves before its turn", () => {
    const { nextName, leave } = turnsOf(1, { a: 2, b: 1 });
    leave("a1");
    leave("b1");

    assert.equal(nextName(), "a2");
    leave("a2");
    assert.equal(nextName(), undefined);
  });
});
