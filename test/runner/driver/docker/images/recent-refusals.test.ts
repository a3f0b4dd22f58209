import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { CallError } from "../../../../../core/call-error.ts";
import { VirtualClock } from "../../../../../kiln/testing/virtual-clock.ts";
import { RecentRefusals } from "../../../../../runner/driver/docker/images/recent-refusals.ts";

const denied = new CallError("image_pull_failed", "denied", { status: 401 });

describe("RecentRefusals", () => {
  it("tells a refusal again for a while, with its status and when it was, and of nothing else", () => {
    const clock = new VirtualClock();
    const refusals = new RecentRefusals(clock, 5_000);
    refusals.keep("bakery's brie", denied);
    clock.advance(4_999);

    const again = refusals.find("bakery's brie");

    assert.deepEqual([again?.code, again?.status], ["image_pull_failed", 401]);
    assert.match(again?.message ?? "", /^denied \(as it was 4999 ms ago, and is asked again after 5000 ms/);
    assert.equal(refusals.find("dairy's brie"), undefined);
    clock.advance(1);
    assert.equal(refusals.find("bakery's brie"), undefined);
  });

  it("keeps a thousand, and none where it is to ask each time", () => {
    const clock = new VirtualClock();
    const refusals = new RecentRefusals(clock, 5_000);
    for (let n = 0; n <= 1_000; n += 1) refusals.keep(String(n), denied);
    const never = new RecentRefusals(clock, 0);
    never.keep("brie", denied);

    assert.equal(refusals.find("0"), undefined);
    assert.notEqual(refusals.find("1"), undefined);
    assert.equal(never.find("brie"), undefined);
  });
});
