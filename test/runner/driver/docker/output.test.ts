import assert from "node:assert/strict";
import { type Duplex, PassThrough } from "node:stream";
import { describe, it } from "node:test";

import { taskFor } from "../../../../kiln/testing/task-for.ts";
import { VirtualClock } from "../../../../kiln/testing/virtual-clock.ts";
import { demultiplex, readOutput, splitLines } from "../../../../runner/driver/docker/output.ts";
import type { OutputStream } from "../../../../runner/driver/driver.ts";
import { FunctionLogs } from "../../../../runner/logs/function-logs.ts";

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

describe("readOutput", () => {
  it("does not join a line that an outage cut with what comes after it, and says that something may be missing", async () => {
    const clock = new VirtualClock();
    const lines: string[] = [];
    const sink = ({ text, partial }: { text: string; partial: boolean }) =>
      void lines.push(`${text}${partial ? "…" : ""}`);
    const writer = new FunctionLogs({ clock, sink }).open("c1", taskFor("probe"));
    const connection = (...frames: readonly Buffer[]): Duplex => new PassThrough().end(Buffer.concat(frames));
    const later = [
      connection(frame("stderr", "anything else\n")),
      connection(frame("stdout", "whole\n"), frame("stderr", "last words")),
    ];
    const first = connection(frame("stdout", "whole\n"), frame("stderr", "cut by the out"));

    const again = async () => {
      clock.advance(1_500);
      return later.shift();
    };

    const output = readOutput(first, { writer, again, clock });
    await output.ended;

    const mark = (from: string, to: string) =>
      `-----output between 1970-01-01T00:00:0${from}Z and 1970-01-01T00:00:0${to}Z may be missing, Docker was away-----`;
    const marks = [mark("0.000", "1.500"), mark("1.500", "3.000")];
    assert.deepEqual(lines, ["whole", "cut by the out…", marks[0], "anything else", marks[1], "whole", "last words"]);
    const tail = ["cut by the out", marks[0], "anything else", marks[1], "last words"];
    assert.equal(output.stderrTail(), tail.join("\n"));
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
