import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { silentLog } from "../../core/log.ts";
import { VirtualClock } from "../../kiln/testing/virtual-clock.ts";
import { drainCalls } from "../../runner/drain.ts";

/** Drains a runner without calls, one container of which does not go. */
async function drain({ canRemove = true, removeMs = 30_000 }) {
  const clock = new VirtualClock();
  const errors: string[] = [];
  const drained = drainCalls({
    active: new Set(),
    own: new Set(),
    containers: () => 1,
    canRemove: () => canRemove,
    stopStarts() {},
    hurried: new AbortController().signal,
    drainMs: 60_000,
    removeMs,
    clock,
    log: { ...silentLog, error: (message) => void errors.push(message) },
  });
  const { leftContainers } = await clock.until(drained);
  return { leftContainers, afterMs: clock.now(), errors };
}

describe("drainCalls", () => {
  it("waits for containers as long as it is told to, and says that they are left", async () => {
    const report = await drain({ removeMs: 4_500 });

    assert.deepEqual(report, { leftContainers: 1, afterMs: 4_500, errors: ["Containers are left behind"] });
  });

  it("waits a moment alone where none can be removed", async () => {
    assert.equal((await drain({ canRemove: false })).afterMs, 2_000);
    assert.equal((await drain({ canRemove: false, removeMs: 100 })).afterMs, 100);
  });
});
