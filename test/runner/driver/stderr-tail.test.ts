import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { StderrTail } from "../../../runner/driver/stderr-tail.ts";

const lines = Array.from({ length: 500 }, (_, n) => `line ${n} of many\n`);

describe("StderrTail", () => {
  it("has all of a little", () => {
    const tail = new StderrTail();

    tail.push(Buffer.from("no"));
    tail.push(Buffer.from("thing\n"));

    assert.equal(tail.text(), "nothing\n");
  });

  for (const size of [1, 7, 4_095, 4_096, 4_097, 1_000_000]) {
    it(`has the last whole lines of what came in pieces of ${size} bytes`, () => {
      const bytes = Buffer.from(lines.join(""));
      const tail = new StderrTail();

      for (let i = 0; i < bytes.length; i += size) tail.push(bytes.subarray(i, i + size));

      const text = tail.text();
      assert.ok(lines.join("").endsWith(text));
      assert.match(text, /^line /);
      assert.ok(text.length > 4_070 && text.length <= 4_096, `${text.length}`);
    });
  }

  it("has the end of one endless line, in whole characters", () => {
    const tail = new StderrTail();

    tail.push(Buffer.from("ž".repeat(5_000)));
    tail.push(Buffer.from("!"));

    assert.equal(tail.text(), `${"ž".repeat(2_047)}!`);
  });
});
