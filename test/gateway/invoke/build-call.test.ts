import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { newCallId, type JsonValue } from "../../../core/call.ts";
import { withExtension, defineExtension, z } from "../../../core/extension.ts";
import { buildCall } from "../../../gateway/invoke/build-call.ts";
import { functionFor } from "../../../kiln/testing/fake-functions.ts";

const request = {
  method: "POST",
  url: "http://gateway:8080/invoke/hello?a=b",
  headers: ["Content-Type", "text/plain"],
};

describe("buildCall", () => {
  it("takes everything from function, app and request", () => {
    const id = newCallId();
    const found = functionFor(
      "hello",
      {
        name: "greet",
        image: "greet:2",
        memoryMiB: 256,
        cpuMillis: 500,
        tmpfsMiB: 64,
        timeoutMs: 5_000,
        idleTimeoutMs: 7_000,
        concurrency: 8,
        maxCalls: 9,
        minContainers: 1,
        maxContainers: 2,
        onCancel: "finish",
        idempotent: true,
      },
      { id: "app-9", name: "greetings", syslogUrl: "tcp://log:514" },
    );

    assert.deepEqual(buildCall(id, found, request), {
      id,
      type: "sync",
      appId: "app-9",
      appName: "greetings",
      fnId: "hello",
      fnName: "greet",
      image: "greet:2",
      memoryMiB: 256,
      cpuMillis: 500,
      tmpfsMiB: 64,
      timeoutMs: 5_000,
      idleTimeoutMs: 7_000,
      concurrency: 8,
      maxCalls: 9,
      minContainers: 1,
      maxContainers: 2,
      config: {},
      annotations: {},
      syslogUrl: "tcp://log:514",
      networkDisabled: false,
      onCancel: "finish",
      idempotent: true,
      method: "POST",
      url: "http://gateway:8080/invoke/hello?a=b",
      headers: [["Content-Type", "text/plain"]],
      extensions: {},
      callExtensions: {},
      registryToken: "",
    });
  });

  it("lays the function's config over the app's, and adds no key of its own", () => {
    const found = functionFor("hello", { config: { B: "fn", C: "fn" } }, { config: { A: "app", B: "app" } });

    assert.deepEqual(buildCall(newCallId(), found, request).config, { A: "app", B: "fn", C: "fn" });
  });

  it("lays annotations over each other, and strips the computed endpoints", () => {
    const computed: Record<string, JsonValue> = {
      "fnproject.io/fn/invokeEndpoint": "http://gateway/invoke/hello",
      "fnproject.io/trigger/httpEndpoint": "http://gateway/t/app/hello",
    };
    const found = functionFor(
      "hello",
      { annotations: { ...computed, b: { deep: [1] } } },
      { annotations: { a: 1, b: 2 } },
    );

    assert.deepEqual(buildCall(newCallId(), found, request).annotations, { a: 1, b: { deep: [1] } });
  });

  for (const [said, type] of [
    ["detached", "detached"],
    ["Detached", "sync"],
    ["sync", "sync"],
    ["other", "sync"],
  ] as const) {
    it(`is ${type} where Fn-Invoke-Type is ${said}`, () => {
      const headers = ["Fn-Invoke-Type", said];

      assert.equal(buildCall(newCallId(), functionFor("hello"), { ...request, headers }).type, type);
    });
  }

  it("gives equal functions the same config, so that what is derived from it can be kept", () => {
    const found = functionFor("hello", { config: { A: "1" } });

    const one = buildCall(newCallId(), found, request);
    const other = buildCall(newCallId(), found, request);

    assert.equal(one.config, other.config);
    const changedApp = buildCall(newCallId(), { ...found, app: { ...found.app, config: { A: "0", B: "2" } } }, request);
    assert.deepEqual(changedApp.config, { A: "1", B: "2" });
  });

  it("shares nothing that one call could change for another", () => {
    const one = buildCall(newCallId(), functionFor("hello"), request);
    const shares = defineExtension("cpu-shares", z.coerce.number());

    assert.throws(() => Object.assign(one.extensions, { a: "b" }), TypeError);
    assert.throws(() => Object.assign(one.config, { a: "b" }), TypeError);
    assert.throws(() => Object.assign(one.annotations, { a: "b" }), TypeError);
    assert.deepEqual(withExtension(one, shares, 5).extensions, { "cpu-shares": "5" });
    assert.deepEqual(buildCall(newCallId(), functionFor("hello"), request).extensions, {});
  });
});
