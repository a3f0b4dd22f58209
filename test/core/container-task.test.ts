import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { Call } from "../../core/call.ts";
import { containerTask, slotKey } from "../../core/container-task.ts";
import { callFor } from "../../kiln/testing/call-for.ts";

const keyOf = (changes: Partial<Call>) => slotKey(containerTask(callFor("fn", changes)));

describe("slotKey", () => {
  const different: Readonly<Record<string, Partial<Call>>> = {
    app: { appId: "other" },
    "app name": { appName: "other" },
    function: { fnId: "other" },
    "function name": { fnName: "other" },
    image: { image: "other" },
    memory: { memoryMiB: 7 },
    cpu: { cpuMillis: 7 },
    tmpfs: { tmpfsMiB: 7 },
    timeout: { timeoutMs: 7 },
    "idle timeout": { idleTimeoutMs: 7 },
    concurrency: { concurrency: 7 },
    "most calls": { maxCalls: 7 },
    config: { config: { A: "1" } },
    annotations: { annotations: { a: 1 } },
    syslog: { syslogUrl: "udp://localhost" },
    network: { networkDisabled: true },
    extensions: { extensions: { a: "1" } },
  };
  for (const [what, changes] of Object.entries(different)) {
    it(`differs with the ${what}`, () => {
      assert.notEqual(keyOf(changes), keyOf({}));
    });
  }

  const equal: Readonly<Record<string, Partial<Call>>> = {
    headers: { headers: [["a", "b"]] },
    url: { url: "http://elsewhere/" },
    "call extensions": { callExtensions: { a: "1" } },
    "registry token": { registryToken: "secret" },
    type: { type: "detached" },
    "least and most containers": { minContainers: 1, maxContainers: 2 },
  };
  for (const [what, changes] of Object.entries(equal)) {
    it(`is the same whatever the ${what}`, () => {
      assert.equal(keyOf(changes), keyOf({}));
    });
  }

  it("tells apart what UTF-8 cannot", () => {
    assert.notEqual(keyOf({ annotations: { a: "\ud800" } }), keyOf({ annotations: { a: "\udbff" } }));
  });

  it("does not depend on the order of keys", () => {
    assert.equal(keyOf({ config: { A: "1", B: "2" } }), keyOf({ config: { B: "2", A: "1" } }));
  });

  it("cannot be made equal by moving characters between a name and its value", () => {
    assert.notEqual(keyOf({ config: { AB: "C" } }), keyOf({ config: { A: "BC" } }));
    assert.notEqual(keyOf({ config: { A: "1" } }), keyOf({ extensions: { A: "1" } }));
    assert.notEqual(keyOf({ annotations: { a: "1" } }), keyOf({ annotations: { a: 1 } }));
  });
});

describe("containerTask", () => {
  it("lets the contract's own variables win over config", () => {
    const { env } = containerTask(
      callFor("fn", { memoryMiB: 64, config: { FN_MEMORY: "9", FN_FORMAT: "x", OWN: "1" } }),
    );

    assert.equal(env["FN_MEMORY"], "64");
    assert.equal(env["FN_FORMAT"], "http-stream");
    assert.equal(env["FN_LISTENER"], "unix:/tmp/iofs/lsnr.sock");
    assert.equal(env["OWN"], "1");
  });
});
