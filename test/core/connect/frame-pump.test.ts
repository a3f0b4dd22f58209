import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";

import { FramePump, LINGER_MS } from "../../../core/connect/frame-pump.ts";
import { VirtualClock } from "../../../kiln/testing/virtual-clock.ts";

/** A pump of text frames, and how many messages it has written. */
function pumped() {
  const clock = new VirtualClock();
  const queue: string[] = [];
  const messages: string[] = [];
  const source = {
    take: () => queue.splice(0),
    encode: (_writer: unknown, frames: readonly string[]) => void messages.push(frames.join("+")),
  };
  const pump = new FramePump<string>(new PassThrough().resume(), source, clock);
  return { clock, queue, messages, pump };
}

describe("FramePump", () => {
  it("writes all of a turn in one message", async () => {
    const { queue, messages, pump } = pumped();

    for (const frame of ["a", "b"]) {
      queue.push(frame);
      pump.wake();
    }
    await nextTurn();

    assert.deepEqual(messages, ["a+b"]);
  });

  it("lets a frame that is in no hurry wait for one that is", async () => {
    const { clock, queue, messages, pump } = pumped();

    queue.push("unhurried");
    pump.linger();
    clock.advance(LINGER_MS - 1);
    await nextTurn();
    queue.push("hurried");
    pump.wake();
    await nextTurn();

    assert.deepEqual(messages, ["unhurried+hurried"]);
  });

  it("sends one that nothing joined when its time is over, however long others before it had waited", async () => {
    const { clock, queue, messages, pump } = pumped();
    queue.push("first");
    pump.linger();
    clock.advance(LINGER_MS - 2);
    pump.flush();

    queue.push("second");
    pump.linger();
    clock.advance(LINGER_MS - 1);
    await nextTurn();
    assert.deepEqual(messages, ["first"]);
    clock.advance(1);
    await nextTurn();

    assert.deepEqual(messages, ["first", "second"]);
  });
});
