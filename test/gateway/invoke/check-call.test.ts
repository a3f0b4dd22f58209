import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { CallError } from "../../../core/call-error.ts";
import { newCallId } from "../../../core/call.ts";
import { checkCall } from "../../../gateway/invoke/check-call.ts";
import { callFor } from "../../../kiln/testing/call-for.ts";

describe("checkCall", () => {
  const before = callFor("hello");

  it("accepts what is in range", () => {
    checkCall({ ...before, memoryMiB: 8_192, cpuMillis: 0, tmpfsMiB: 0, timeoutMs: 300_000, type: "detached" }, before);
    checkCall({ ...before, headers: [["X-A", "b\u00e9"]], config: { A: "" }, extensions: { a: "b" } }, before);
  });

  const rows: readonly [field: string, value: unknown, message: RegExp][] = [
    ["memoryMiB", -5, /memoryMiB to -5, expected an integer 1 to 8192$/],
    ["memoryMiB", 0, /memoryMiB to 0, expected/],
    ["memoryMiB", "256", /memoryMiB to "256", expected an integer/],
    ["cpuMillis", 0.5, /cpuMillis to 0.5, expected an integer 0 to 1024000$/],
    ["tmpfsMiB", NaN, /tmpfsMiB to NaN/],
    ["tmpfsMiB", 129, /tmpfsMiB to 129, expected at most the memory of 128 MiB, since files there count as memory$/],
    ["timeoutMs", 300_001, /timeoutMs to 300001, expected an integer 1 to 300000$/],
    ["idleTimeoutMs", Infinity, /idleTimeoutMs to Infinity/],
    ["image", "", /image to "", expected the name of an image/],
    ["image", undefined, /image to undefined/],
    ["type", "async", /type to "async", expected sync or detached$/],
    ["onCancel", "wait", /onCancel to "wait", expected kill or finish$/],
    ["idempotent", "yes", /idempotent to "yes", expected true or false$/],
    [
      "config",
      { A: "secret", PORT: 8080 },
      /config to an object, expected strings in it, but "PORT" is of type number$/,
    ],
    ["extensions", ["a"], /extensions to an array, expected an object of strings$/],
    ["callExtensions", null, /callExtensions to null, expected an object of strings$/],
    ["headers", { a: "b" }, /headers to an object, expected pairs/],
    ["headers", [["a b", "c"]], /headers to an array, expected pairs of a header's name and value, but \[0\] is none$/],
    [
      "headers",
      [
        ["x", "y"],
        ["a", "b\r\nc: d"],
      ],
      /but \[1\] is none$/,
    ],
    ["url", "/relative", /url to "\/relative", expected an absolute URL$/],
    ["method", "GET /", /method to "GET \/", expected an HTTP method$/],
    ["id", newCallId(), /id to .*cannot be changed$/],
  ];
  for (const [field, value, message] of rows) {
    it(`names ${field} and the value ${JSON.stringify(value)}`, () => {
      assert.throws(
        () => checkCall({ ...before, [field]: value }, before),
        (error: unknown) => {
          assert.ok(error instanceof CallError);
          assert.equal(error.code, "override_invalid");
          assert.equal(error.component, "operator");
          assert.match(error.message, message);
          return true;
        },
      );
    });
  }

  it("never shows the registry's token", () => {
    const secret = { toString: () => "hunter2", token: "hunter2" };

    assert.throws(
      () => checkCall(Object.assign({ ...before }, { registryToken: secret }), before),
      (error: unknown) => error instanceof CallError && !error.message.includes("hunter2"),
    );
  });

  it("cuts a long value short", () => {
    assert.throws(() => checkCall({ ...before, url: "x".repeat(1_000) }, before), { message: /^.{1,200}$/ });
  });

  it("refuses more extensions than a call may have, by name", () => {
    const many = Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, "v"]));

    assert.throws(() => checkCall({ ...before, extensions: many }, before), { code: "extension_limit" });
    assert.throws(() => checkCall({ ...before, extensions: { "too-long": "x".repeat(4_097) } }, before), {
      code: "extension_limit",
      message: /"too-long"/,
    });
  });
});
