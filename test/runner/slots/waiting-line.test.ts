import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { SlotCaller, slotRequest } from "../../../kiln/testing/slot-bench.ts";
import { WaitingLine } from "../../../runner/slots/waiting-line.ts";

/** A line into which calls come: a letter for the source of each. */
function lineOf(...sources: readonly string[]) {
  const line = new WaitingLine<string>();
  const known = new Map<string, object>();
  const numbers = new Map<object, string>();
  const come = (source: string) => {
    if (!known.has(source)) known.set(source, {});
    const waiter = new SlotCaller(known.get(source) ?? {});
    numbers.set(waiter, `${source}${[...numbers.values()].filter((name) => name.startsWith(source)).length + 1}`);
    line.insert({ request: slotRequest("a"), waiter, since: 0, until: 0, told: false }, line.placeOf(waiter));
  };
  for (const source of sources) come(source);
  const order = () =>
    line
      .slice(0)
      .map(({ waiter }) => numbers.get(waiter))
      .join(" ");
  return { line, come, order };
}

describe("WaitingLine", () => {
  it("is first come, first served, where all calls are one source's", () => {
    assert.equal(lineOf("A", "A", "A").order(), "A1 A2 A3");
  });

  it("lets sources take turns, each with its calls as they came", () => {
    assert.equal(lineOf("A", "A", "A", "A", "B", "B", "C").order(), "A1 B1 C1 A2 B2 A3 A4");
  });

  it("counts on from what was served, and forgets who has nothing waiting", () => {
    const { line, come, order } = lineOf("A", "A", "A", "B");
    line.shift();
    line.shift();
    assert.equal(order(), "A2 A3");

    come("B");
    come("A");
    line.pop();
    come("B");

    assert.equal(order(), "A2 B2 A3 B3");
  });
});
