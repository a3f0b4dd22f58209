import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { startWorker } from "../../../core/workers/worker-process.ts";
import { VirtualClock } from "../../../kiln/testing/virtual-clock.ts";

const deno = process.versions["deno"] !== undefined && "workers need Node";

describe("startWorker", () => {
  it("tells as a worker's end that the system refuses another process", { skip: deno }, async (t) => {
    const { argv } = process;
    t.after(() => (process.argv = argv));
    // No argument may be longer than 128 KiB; as for ENOMEM, Node throws what the system answers.
    process.argv = [...argv.slice(0, 2), "x".repeat(200_000)];
    const whole = { metrics: () => [], readiness: () => ({ ready: true, detail: "" }) };

    const worker = startWorker({ number: 1, settings: {}, whole, clock: new VirtualClock() });

    assert.equal(worker.pid, undefined);
    assert.equal(await worker.serving, undefined);
    assert.deepEqual(await worker.exited, { code: 1, signal: null, reason: "spawn E2BIG" });
    for (const order of [worker.stop, worker.hurry, worker.kill]) order();
  });
});
