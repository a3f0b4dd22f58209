import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { encodeId, newCallId, parseCallId } from "../../core/call.ts";

describe("newCallId", () => {
  it("makes ids of 26 characters that parse", () => {
    const id = newCallId();

    assert.equal(parseCallId(id), id);
  });

  it("holds the time, and counts", () => {
    const value = (text: string) =>
      text.split("").reduce((sum, digit) => sum * 32n + BigInt("0123456789ABCDEFGHJKMNPQRSTVWXYZ".indexOf(digit)), 0n);
    const [one, two] = [value(newCallId(1_700_000_000_123)), value(newCallId(1_700_000_000_124))];

    assert.equal(one >> 80n, 1_700_000_000_123n);
    assert.equal(two - one, (1n << 80n) + 1n);
    assert.equal(encodeId(one), newCallId(1_700_000_000_123).slice(0, 19) + encodeId(one).slice(19));
  });

  it("never makes the same twice, and sorts by time", () => {
    const early = newCallId(1_000);
    const ids = Array.from({ length: 10_000 }, () => newCallId(2_000));

    assert.equal(new Set(ids).size, ids.length);
    assert.ok(ids.every((id) => id > early));
  });
});

describe("parseCallId", () => {
  it("knows what cannot be one", () => {
    for (const text of [
      "",
      "x",
      "01M80XKGGYNWEG9B9V6000000",
      "01M80XKGGYNWEG9B9V600000011",
      "01m80xkggynweg9b9v60000001",
      "01M80XKGGYNWEG9B9V6000000U",
    ]) {
      assert.equal(parseCallId(text), undefined, text);
    }
  });
});

describe("encodeId", () => {
  it("writes 128 bits in Crockford's base32", () => {
    assert.equal(encodeId(0n), "0".repeat(26));
    assert.equal(encodeId((1n << 128n) - 1n), `7${"Z".repeat(25)}`);
    assert.equal(encodeId(33n), `${"0".repeat(24)}11`);
  });
});
