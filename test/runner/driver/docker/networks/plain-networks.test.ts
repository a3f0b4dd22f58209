import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createLog } from "../../../../../core/log.ts";
import { VirtualClock } from "../../../../../kiln/testing/virtual-clock.ts";
import { PlainNetworks } from "../../../../../runner/driver/docker/networks/plain-networks.ts";

function bench(names: readonly string[]) {
  const clock = new VirtualClock();
  const lines: string[] = [];
  const log = createLog({ level: "info", write: (line) => void lines.push(line) });
  return { clock, lines, networks: new PlainNetworks(names, clock, log) };
}

describe("PlainNetworks", () => {
  it("takes its networks in turn, and none where there is none", () => {
    const { networks } = bench(["one", "two", "one"]);

    assert.deepEqual([networks.next(), networks.next(), networks.next()], ["one", "two", "one"]);
    assert.equal(bench([]).networks.next(), "");
  });

  it("goes on to the others where one has no place, and to none where the network was somebody else's choice", () => {
    const { networks } = bench(["one", "two", "three"]);

    assert.deepEqual(networks.inOrder("two"), ["two", "three", "one"]);
    assert.deepEqual(networks.inOrder("a hook's"), ["a hook's"]);
  });

  it("leaves out for a while what is full or gone, says so once, and says that it is back", async () => {
    const { clock, lines, networks } = bench(["one", "two"]);
    networks.failed("one", "full");
    networks.failed("one", "full");

    assert.deepEqual([networks.next(), networks.next()], ["two", "two"]);
    assert.deepEqual(networks.inOrder("one"), ["two", "one"]);
    networks.failed("two", "gone");
    assert.deepEqual(networks.inOrder("two"), ["two", "one"], "the last resort");

    await clock.run(10_000);
    networks.worked("one");

    assert.deepEqual([networks.next(), networks.next()], ["one", "two"]);
    assert.deepEqual(
      lines.map((line) => /: it is full|: it is gone|use a network again/.exec(line)?.[0]),
      [": it is full", ": it is gone", "use a network again"],
    );
  });
});
