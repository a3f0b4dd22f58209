import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { silentLog } from "../../../core/log.ts";
import { startWorkers } from "../../../core/workers/workers.ts";

const deno = process.versions["deno"] !== undefined && "workers need Node";
const NEVER = new AbortController().signal;

/** Starts workers that the system refuses: no argument may be longer than 128 KiB. */
async function startRefused(asked: AbortSignal) {
  const { argv } = process;
  process.argv = [...argv.slice(0, 2), "x".repeat(200_000)];
  try {
    return await startWorkers({
      count: 2,
      settingsOf: () => ({}),
      restartMaxMs: 100,
      drainMs: 100,
      cleanUpMs: 0,
      stop: { asked, hurried: NEVER },
      log: silentLog,
    });
  } finally {
    process.argv = argv;
  }
}

describe("startWorkers", () => {
  it("says why none could be started", { skip: deno }, async () => {
    await assert.rejects(startRefused(NEVER), { message: "Worker 1 could not be started: spawn E2BIG" });
  });

  it("reports no failed start once a stop is asked for, and waits for nothing", { skip: deno }, async () => {
    await using workers = await startRefused(AbortSignal.abort());

    assert.deepEqual([workers.address, workers.admin], ["", undefined]);
  });
});
