import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { newCallId } from "../../../core/call.ts";
import { VirtualClock } from "../../../kiln/testing/virtual-clock.ts";
import type { OutputStream } from "../../../runner/driver/driver.ts";
import { ContainerLog } from "../../../runner/logs/container-log.ts";

const A = newCallId();
const B = newCallId();

/** A container's log, and the lines that came of it as `whose stream: text`. */
function container({ maxBytes = 1_000 } = {}) {
  const clock = new VirtualClock();
  const lines: string[] = [];
  const state = { heard: true, over: false };
  const log = new ContainerLog(
    { appId: "app", fnId: "fn", image: "image", containerId: "c1" },
    {
      maxBytes,
      clock,
      isHeard: () => state.heard,
      ended: () => (state.over = true),
      pass({ callId, between, stream, text, partial }) {
        const whose = callId === A ? "A" : callId === B ? "B" : between ? "between" : "several";
        lines.push(`${whose} ${stream}: ${text}${partial ? "…" : ""}`);
      },
    },
  );
  const write = (text: string, stream: OutputStream = "stdout") => log.write(stream, Buffer.from(text));
  return { log, lines, clock, state, write };
}

describe("ContainerLog", () => {
  it("gives each line the call that ran, in the order they were written", () => {
    const { log, lines, write } = container();

    write("starting\n");
    log.began(A);
    write("one\n");
    write("two\n", "stderr");
    write("three\n");
    log.ended();
    log.began(B);
    write("four\n");

    assert.deepEqual(lines, [
      "between stdout: starting",
      "A stdout: one",
      "A stderr: two",
      "A stdout: three",
      "B stdout: four",
    ]);
  });

  it("counts what comes a moment after a call's end as the call's, and later lines as written between calls", () => {
    const { log, lines, clock, write } = container();
    log.began(A);
    log.ended();

    clock.advance(50);
    write("late\n");
    clock.advance(1);
    write("idle\n");
    log.began(B);
    write("running\n");

    assert.deepEqual(lines, ["A stdout: late", "between stdout: idle", "B stdout: running"]);
  });

  it("never joins what two calls wrote into one line, marks what was cut for it, and leaves a line to who began it", () => {
    const { log, lines, clock, write } = container();
    log.began(A);
    write("from A");
    log.ended();
    log.began(B);
    write("from B");
    log.ended();
    clock.advance(100);
    write(", its end\nfrom nobody\n");

    assert.deepEqual(lines, ["A stdout: from A…", "B stdout: from B, its end", "between stdout: from nobody"]);
  });

  it("names no call while several run, until all have ended", () => {
    const { log, lines, clock, write } = container();
    log.began(A);
    write("alone\n");
    log.began(B);
    write("together\n");
    log.ended();
    write("which?\n");
    log.ended();
    clock.advance(100);
    log.began(A);
    write("alone again\n");

    assert.deepEqual(lines, [
      "A stdout: alone",
      "several stdout: together",
      "several stdout: which?",
      "A stdout: alone again",
    ]);
  });

  it("keeps exactly the limit of a call, says once that it cut, and begins anew with the next", () => {
    const { log, lines, clock, write } = container({ maxBytes: 10 });
    const mark = "-----max log size 10 bytes exceeded, truncating log-----";
    log.began(A);
    write("1234\n");
    write("67890 and more\n", "stderr");
    write("again\n");
    log.ended();
    clock.advance(100);
    write("idle\n");
    write("too much\n");
    log.began(B);
    write("123456789\n");

    assert.deepEqual(lines, [
      "A stdout: 1234",
      "A stderr: 67890",
      `A stderr: ${mark}`,
      "between stdout: idle",
      "between stdout: too m",
      `between stdout: ${mark}`,
      "B stdout: 123456789",
    ]);
  });

  it("does nothing while nobody listens, and begins with what is written after somebody does", () => {
    const { log, lines, state, write } = container();
    state.heard = false;
    log.began(A);
    write("unheard\nhalf a li");
    state.heard = true;
    write("ne\nheard\n");

    assert.deepEqual(lines, ["A stdout: ne", "A stdout: heard"]);
  });

  it("gives the line that had not ended when the container did", () => {
    const { log, lines, state, write } = container();
    log.began(A);
    write("last words", "stderr");
    log.end();

    assert.deepEqual(lines, ["A stderr: last words"]);
    assert.equal(state.over, true);
  });
});
