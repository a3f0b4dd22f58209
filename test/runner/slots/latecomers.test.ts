import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { VirtualClock } from "../../../kiln/testing/virtual-clock.ts";
import { Latecomers } from "../../../runner/slots/latecomers.ts";

describe("Latecomers", () => {
  it("remembers for a second who was refused, and the last 256 of them", () => {
    const clock = new VirtualClock();
    const latecomers = new Latecomers(clock);
    const [gateway, ...others] = Array.from({ length: 257 }, () => ({}));
    assert.ok(gateway !== undefined);
    assert.equal(latecomers.isOwed(gateway), false);

    latecomers.refused(gateway);
    clock.advance(999);
    assert.equal(latecomers.isOwed(gateway), true);
    clock.advance(1);
    assert.equal(latecomers.isOwed(gateway), false);

    latecomers.refused(gateway);
    for (const other of others) latecomers.refused(other);
    assert.equal(latecomers.isOwed(gateway), false);
  });
});
