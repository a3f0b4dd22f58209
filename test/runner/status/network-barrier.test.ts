import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { VirtualClock } from "../../../kiln/testing/virtual-clock.ts";
import { NetworkBarrier } from "../../../runner/status/network-barrier.ts";

describe("NetworkBarrier", () => {
  it("takes a look that hangs for a no, has no second one beside it, and looks again once it is over", async () => {
    const clock = new VirtualClock();
    const looks: PromiseWithResolvers<void>[] = [];
    const barrier = new NetworkBarrier({
      path: "/nfs/network-is-up",
      timeoutMs: 2_000,
      clock,
      look() {
        const look = Promise.withResolvers<void>();
        looks.push(look);
        return look.promise;
      },
    });

    const first = barrier.isThere();
    await clock.run(2_000);
    assert.equal(await first, false);
    const second = barrier.isThere();
    await clock.run(2_000);
    assert.equal(await second, false);
    assert.equal(looks.length, 1);

    looks[0]?.resolve();
    await clock.settle();
    const third = barrier.isThere();
    looks[1]?.resolve();

    assert.equal(await third, true);
    assert.equal(clock.pending, 0);
  });

  it("is not there where the file is not", async () => {
    const barrier = new NetworkBarrier({ path: "/no/such/file", timeoutMs: 2_000, clock: new VirtualClock() });

    assert.equal(await barrier.isThere(), false);
  });
});
