import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { LineSplitter, LONGEST_LINE_BYTES } from "../../../runner/driver/line-splitter.ts";

function split(text: string, chunkBytes: number): { text: string; partial: boolean }[] {
  const seen: { text: string; partial: boolean }[] = [];
  const take = (piece: Buffer, partial: boolean) => void seen.push({ text: piece.toString(), partial });
  const splitter = new LineSplitter();
  const whole = Buffer.from(text);
  for (let at = 0; at < whole.length; at += chunkBytes) splitter.push(whole.subarray(at, at + chunkBytes), take);
  splitter.flush(take);
  return seen;
}

describe("LineSplitter", () => {
  it("gives the same lines wherever the stream's chunks are cut", () => {
    for (let size = 1; size < 12; size += 1) {
      const lines = split("one\n\ntwo\nlast", size).map(({ text, partial }) => (partial ? `${text}…` : text));
      assert.deepEqual(lines, ["one", "", "two", "last"], `chunks of ${size}`);
    }
  });

  it("marks the pieces of a line that is too long, and cuts no character in two", () => {
    const long = "ž".repeat(LONGEST_LINE_BYTES);
    const pieces = split(`x${long}\nnext\n`, 1_000);

    assert.deepEqual(
      pieces.map(({ partial }) => partial),
      [true, true, false, false],
    );
    assert.ok(pieces.every(({ text }) => Buffer.byteLength(text) <= LONGEST_LINE_BYTES && !text.includes("\ufffd")));
    const [, , , next] = pieces;
    assert.equal(next?.text, "next");
    assert.equal(
      pieces.slice(0, 3).reduce((whole, { text }) => whole + text, ""),
      `x${long}`,
    );
  });

  it("gives a line of exactly the longest length as one", () => {
    const exact = "x".repeat(LONGEST_LINE_BYTES);

    assert.deepEqual(split(`${exact}\n`, 4_096), [{ text: exact, partial: false }]);
  });
});
