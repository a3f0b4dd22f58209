import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { containerTask } from "../../../core/container-task.ts";
import { silentLog } from "../../../core/log.ts";
import { callFor } from "../../../kiln/testing/call-for.ts";
import { VirtualClock } from "../../../kiln/testing/virtual-clock.ts";
import { createFreezing } from "../../../runner/hot/freezing.ts";
import type { HotFunction } from "../../../runner/hot/hot-function.ts";

type Step = (signal: AbortSignal) => Promise<void>;

/** A function whose container does as the test says. */
function hot(step: Step): HotFunction {
  return {
    task: containerTask(callFor("hello")),
    container: {
      id: "c1",
      exited: new Promise(() => {}),
      stderrTail: () => "",
      freeze: step,
      thaw: step,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    },
    client: { send: () => assert.fail("nothing is called"), close: () => Promise.resolve() },
    launchTimings: { pullMs: 0, startMs: 0, initMs: 0 },
    remove: () => Promise.resolve(),
  };
}

function freezingOf() {
  const clock = new VirtualClock();
  const counted: string[] = [];
  const warned: string[] = [];
  const freezing = createFreezing({
    clock,
    log: { ...silentLog, warn: (message, fields) => void warned.push(`${message}: ${String(fields?.["reason"])}`) },
    count: {
      froze: (ok) => void counted.push(`froze ${ok}`),
      thawed: (ok, ms) => void counted.push(`thawed ${ok} ${ms}`),
    },
    timeoutMs: 5_000,
  });
  return { clock, freezing, counted, warned };
}

describe("createFreezing", () => {
  it("tells and counts what worked, and leaves no timer", async () => {
    const { clock, freezing, counted, warned } = freezingOf();
    const works = hot(async () => clock.advance(3));

    assert.deepEqual([await freezing.freeze(works), await freezing.thaw(works)], [true, true]);

    assert.deepEqual(counted, ["froze true", "thawed true 3"]);
    assert.deepEqual(warned, []);
    assert.equal(clock.pending, 0);
  });

  it("tells, counts and logs what failed", async () => {
    const { freezing, counted, warned } = freezingOf();
    const fails = hot(() => Promise.reject(new Error("too warm")));

    assert.deepEqual([await freezing.freeze(fails), await freezing.thaw(fails)], [false, false]);

    assert.deepEqual(counted, ["froze false", "thawed false 0"]);
    assert.match(warned.join("\n"), /^Container failed to freeze: .*\nContainer failed to thaw: /);
  });

  it("gives up at its limit on a driver that does not even heed its signal", async () => {
    const { clock, freezing, warned } = freezingOf();
    let told: AbortSignal | undefined;
    const thawing = freezing.thaw(hot((signal) => ((told = signal), new Promise(() => {}))));

    clock.advance(4_999);
    assert.equal(told?.aborted, false);
    clock.advance(1);

    assert.equal(await thawing, false);
    assert.equal(told?.aborted, true);
    assert.match(warned.join(), /had 5000 ms to thaw/);
  });
});
