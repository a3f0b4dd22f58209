import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { demultiplex, splitLines } from "../../../../runner/driver/docker/output.ts";
import type { OutputStream } from "../../../../runner/driver/driver.ts";

function frame(stream: OutputStream, text: string): Buffer {
  const header = Buffer.alloc(8);
  header[0] = stream === "stderr" ? 2 : 1;
  header.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([header, Buffer.from(text)]);
}

describe("demultiplex", () => {
  it("takes the streams apart, wherever the connection's chunks are cut", () => {
    const whole = Buffer.concat([
      frame("stdout", "one"),
      frame("stderr", ""),
      frame("stderr", "two"),
      frame("stdout", "three"),
    ]);
    for (let size = 1; size <= whole.length; size += 1) {
      const seen = { stdout: "", stderr: "" };
      const take = demultiplex((stream, bytes) => (seen[stream] += bytes.toString()));

      for (let at = 0; at < whole.length; at += size) take(whole.subarray(at, at + size));

      assert.deepEqual(seen, { stdout: "onethree", stderr: "two" }, `chunks of ${size}`);
    }
  });
});

describe("splitLines", () => {
  it("gives whole lines, and what is left at the end", () => {
    const seen: string[] = [];
    const lines = splitLines((line) => seen.push(line));

    for (const piece of ["a", "b\n\nc", "d\nlast"]) lines.push(Buffer.from(piece));
    assert.deepEqual(seen, ["ab", "", "cd"]);
    lines.end();

    assert.deepEqual(seen, ["ab", "", "cd", "last"]);
  });

  it("gives a very long line in pieces", () => {
    const seen: string[] = [];
    const lines = splitLines((line) => seen.push(line));

    for (let n = 0; n < 100; n += 1) lines.push(Buffer.alloc(1_000, "x"));
    lines.push(Buffer.from("\nnext\n"));

    assert.ok(seen.every((line) => line.length <= 8_192));
    assert.equal(seen.slice(0, -1).join(""), "x".repeat(100_000));
    assert.equal(seen.at(-1), "next");
  });
});
