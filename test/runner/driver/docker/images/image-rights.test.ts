import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { VirtualClock } from "../../../../../kiln/testing/virtual-clock.ts";
import { ImageRights } from "../../../../../runner/driver/docker/images/image-rights.ts";

describe("ImageRights", () => {
  const mine = { registrytoken: "rennet" };

  it("are of one's credentials and one image", () => {
    const rights = new ImageRights(new VirtualClock(), 1_000);
    rights.grant(mine, "brie");

    assert.equal(rights.has(mine, "brie"), true);
    assert.equal(rights.has({ registrytoken: "rennet" }, "brie"), true);
    assert.equal(rights.has({ registrytoken: "whey" }, "brie"), false);
    assert.equal(rights.has(undefined, "brie"), false);
    assert.equal(rights.has(mine, "gouda"), false);
  });

  it("end after their time, which begins anew with each grant", () => {
    const clock = new VirtualClock();
    const rights = new ImageRights(clock, 1_000);
    rights.grant(mine, "brie");
    clock.advance(999);
    rights.grant(mine, "brie");
    clock.advance(999);
    assert.equal(rights.has(mine, "brie"), true);

    clock.advance(1);

    assert.equal(rights.has(mine, "brie"), false);
  });

  it("are none at all for a time of 0", () => {
    const rights = new ImageRights(new VirtualClock(), 0);
    rights.grant(mine, "brie");

    assert.equal(rights.has(mine, "brie"), false);
  });

  it("are bounded in number: the oldest go", () => {
    const rights = new ImageRights(new VirtualClock(), 1_000);
    for (let i = 0; i <= 10_000; i++) rights.grant(mine, `image-${i}`);

    assert.equal(rights.has(mine, "image-0"), false);
    assert.equal(rights.has(mine, "image-1"), true);
    assert.equal(rights.has(mine, "image-10000"), true);
  });
});
