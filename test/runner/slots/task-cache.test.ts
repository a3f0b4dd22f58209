import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { Call } from "../../../core/call.ts";
import { containerTask, slotKey } from "../../../core/container-task.ts";
import { callFor } from "../../../kiln/testing/call-for.ts";
import { TaskCache } from "../../../runner/slots/task-cache.ts";

const CALL = callFor("fn", {
  config: { A: "1" },
  extensions: { plan: "gold" },
  annotations: { "acme.com/tags": ["a", { b: 1 }] },
});

/** As it comes over the wire: equal, and no object of it the same. */
function again(changes: Partial<Call> = {}): Call {
  return { ...structuredClone(CALL), ...changes };
}

/** One other value for each field that is in a task. */
const OTHERS: Partial<Call> = {
  appId: "other",
  appName: "other",
  fnId: "other",
  fnName: "other",
  image: "other",
  memoryMiB: 64,
  cpuMillis: 1,
  tmpfsMiB: 1,
  timeoutMs: 1,
  idleTimeoutMs: 1,
  concurrency: 2,
  maxCalls: 3,
  config: { A: "2" },
  annotations: { "acme.com/tags": ["a", { b: 2 }] },
  syslogUrl: "udp://127.0.0.1:1",
  networkDisabled: true,
  extensions: { plan: "silver" },
};

describe("TaskCache", () => {
  it("gives equal calls the same task and key", () => {
    const cache = new TaskCache();

    const first = cache.of(again(), "key");
    const second = cache.of(again(), "key");

    assert.equal(second, first);
    assert.deepEqual(first.task, containerTask(CALL));
    assert.equal(first.key, slotKey(containerTask(CALL)));
  });

  it("never gives a call another's key, whatever the gateway calls alike", () => {
    for (const [field, value] of Object.entries(OTHERS)) {
      const cache = new TaskCache();
      cache.of(again(), "key");
      const other = again({ [field]: value });

      const { task, key } = cache.of(other, "key");

      assert.deepEqual(task, containerTask(other), field);
      assert.equal(key, slotKey(containerTask(other)), field);
    }
  });

  it("knows of every field of a task", () => {
    const fields = Object.keys(containerTask(CALL)).map((field) => (field === "env" ? "config" : field));

    assert.deepEqual(Object.keys(OTHERS).sort(), fields.sort());
  });

  it("tells one key more from one less", () => {
    const cache = new TaskCache();
    cache.of(again(), "key");

    for (const config of [{}, { A: "1", B: "2" }, { B: "1" }]) {
      assert.equal(cache.of(again({ config }), "key").key, slotKey(containerTask(again({ config }))));
    }
  });

  it("keeps no more than its most", () => {
    const cache = new TaskCache();
    const first = cache.of(again(), "first");

    for (let i = 0; i < 10_000; i++) cache.of(again(), `key ${i}`);

    assert.notEqual(cache.of(again(), "first"), first);
  });
});
