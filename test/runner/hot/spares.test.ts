import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { VirtualClock } from "../../../kiln/testing/virtual-clock.ts";
import { Spares } from "../../../runner/hot/spares.ts";

function counted(most: number) {
  const clock = new VirtualClock();
  const failures: unknown[] = [];
  let made = 0;
  let fault: Error | undefined;
  const make = async () => {
    if (fault !== undefined) throw fault;
    return ++made;
  };
  const spares = new Spares({ most, make, failed: (error) => failures.push(error), clock });
  return { clock, spares, failures, made: () => made, fail: (error?: Error) => (fault = error) };
}

describe("Spares", () => {
  it("are made a second after the first was taken, however many are taken meanwhile", async () => {
    const { clock, spares, made } = counted(2);
    await clock.run(999);
    assert.equal(made(), 0);
    await clock.run(1);
    assert.equal(made(), 2);

    assert.equal(await spares.take(), 1);
    await clock.run(900);
    assert.equal(await spares.take(), 2);
    assert.equal(made(), 2);
    await clock.run(100);

    assert.equal(made(), 4);
    assert.equal(clock.pending, 0);
  });

  it("are no bound: without one that is there, one is made", async () => {
    const { spares } = counted(0);

    assert.deepEqual([await spares.take(), await spares.take()], [1, 2]);
  });

  it("that cannot be made are told of, and tried again after the next was taken", async () => {
    const { clock, spares, failures, made, fail } = counted(2);
    const full = new Error("full");
    fail(full);
    await clock.run(10_000);
    assert.deepEqual(failures, [full]);
    await assert.rejects(spares.take(), full);
    fail();

    await clock.run(1_000);

    assert.equal(made(), 2);
  });

  it("are made no more and handed out no more once disposed of, and what is under way ends before", async () => {
    const clock = new VirtualClock();
    const making = Promise.withResolvers<string>();
    let made = 0;
    const make = () => (++made, making.promise);
    const spares = new Spares({ most: 3, make, failed: () => {}, clock });
    await clock.run(1_000);

    let disposed = false;
    const disposing = spares[Symbol.asyncDispose]().then(() => (disposed = true));
    await clock.settle();
    assert.equal(disposed, false);
    making.resolve("one");
    await disposing;
    await clock.run(10_000);

    assert.equal(made, 1);
    await spares.take();
    assert.equal(made, 2);
    assert.equal(clock.pending, 0);
  });
});
