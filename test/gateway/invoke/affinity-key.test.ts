import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { newCallId, type Call } from "../../../core/call.ts";
import { containerTask, slotKey } from "../../../core/container-task.ts";
import { affinityKey } from "../../../gateway/invoke/affinity-key.ts";
import { callFor } from "../../../kiln/testing/call-for.ts";

describe("affinityKey", () => {
  const base = callFor("hello", { config: { A: "1" }, extensions: { "cpu-shares": "256" } });
  // Every field, so that one which joins the slot key cannot be forgotten here.
  const changed: { readonly [Field in keyof Call]: Call[Field] } = {
    id: newCallId(),
    type: "detached",
    appId: "other",
    appName: "other",
    fnId: "other",
    fnName: "other",
    image: "other",
    memoryMiB: 1,
    cpuMillis: 1,
    tmpfsMiB: 1,
    timeoutMs: 1,
    idleTimeoutMs: 1,
    concurrency: 2,
    maxCalls: 3,
    minContainers: 4,
    maxContainers: 5,
    config: { A: "2" },
    annotations: { a: 1 },
    syslogUrl: "tcp://log:1",
    networkDisabled: true,
    onCancel: "finish",
    idempotent: true,
    method: "GET",
    url: "http://other/",
    headers: [["a", "b"]],
    extensions: { "cpu-shares": "512" },
    callExtensions: { trace: "1" },
    registryToken: "secret",
  };

  for (const field of Object.keys(changed)) {
    it(`follows the slot key when ${field} changes`, () => {
      const other: Call = { ...base, [field]: Reflect.get(changed, field) };

      assert.equal(affinityKey(base), slotKey(containerTask(base)));
      assert.equal(affinityKey(other), slotKey(containerTask(other)));
      assert.equal(affinityKey(base), slotKey(containerTask(base)));
    });
  }

  it("is right for more variants than it keeps", () => {
    for (let i = 0; i < 100; i++) {
      const call = { ...base, extensions: { "cpu-shares": String(i % 40) } };
      assert.equal(affinityKey(call), slotKey(containerTask(call)));
    }
  });
});
