import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { NO_CAPACITY, NO_TIMINGS } from "../../../core/session/frames.ts";
import { callFor } from "../../../kiln/testing/call-for.ts";
import { RecordingHandler, SessionPair } from "../../../kiln/testing/session-pair.ts";

describe("RunnerSession", () => {
  it("tells of capacity once, however often it changed before its gateway read", () => {
    const pair = new SessionPair();
    for (let free = 0; free < 1_000; free++) {
      pair.runner.capacity(() => ({ ...NO_CAPACITY, freeMemoryMiB: free }));
    }

    const frames = pair.runner.take(Infinity);

    assert.deepEqual(frames, [{ type: "capacity", capacity: { ...NO_CAPACITY, freeMemoryMiB: 999 } }]);
    assert.deepEqual(pair.runner.take(Infinity), []);
  });

  it("tells of capacity as it is when there is something to read, and after the calls that ended before", () => {
    const pair = new SessionPair();
    const offered = { call: callFor("fn"), remainingMs: 1_000, affinityKey: "key", body: new Uint8Array(), end: true };
    pair.gateway.offer(offered, new RecordingHandler());
    pair.toRunner();
    let free = 1;

    pair.runner.capacity(() => ({ ...NO_CAPACITY, freeMemoryMiB: free }));
    pair.calls[0]?.port.accept("c1");
    pair.calls[0]?.port.finish({ ok: true, timings: NO_TIMINGS });
    free = 2;
    const frames = pair.runner.take(Infinity);

    assert.deepEqual(
      frames.map(({ type }) => type),
      ["accepted", "finished", "capacity"],
    );
    assert.deepEqual(frames.at(-1), { type: "capacity", capacity: { ...NO_CAPACITY, freeMemoryMiB: 2 } });
  });

  it("has something to say while capacity is to be told", () => {
    const pair = new SessionPair();
    pair.settle();

    pair.runner.capacity(() => NO_CAPACITY);

    assert.equal(pair.runner.idle, false);
    pair.runner.take(Infinity);
    assert.equal(pair.runner.idle, true);
  });
});
