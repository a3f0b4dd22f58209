import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { CallError } from "../../core/call-error.ts";
import { containerTask } from "../../core/container-task.ts";
import {
  checkExtensionLimits,
  defineExtension,
  extension,
  withExtension,
  withRegistryToken,
  z,
} from "../../core/extension.ts";
import { callFor } from "../../kiln/testing/call-for.ts";

const cpuShares = defineExtension("cpu-shares", z.coerce.number().int().min(2).max(262_144));
const trace = defineExtension("trace", z.string(), { perCall: true });
const labels = defineExtension(
  "labels",
  z.codec(z.string(), z.array(z.string()), { decode: (text) => text.split(","), encode: (list) => list.join(",") }),
);

function codeOf(code: string, text: RegExp) {
  return (error: unknown) => error instanceof CallError && error.code === code && text.test(error.message);
}

describe("a registry's token", () => {
  it("is set on the call and in neither of its maps, so that no key and no hook has it", () => {
    const call = withRegistryToken(callFor("fn"), "rennet");

    assert.equal(call.registryToken, "rennet");
    assert.deepEqual([call.extensions, call.callExtensions], [{}, {}]);
    assert.doesNotMatch(JSON.stringify(containerTask(call)), /rennet/);
  });

  it("is refused as an extension, Fn's way, without a word of its value", () => {
    assert.throws(() => defineExtension("FN_REGISTRY_TOKEN", z.string()), /set it with withRegistryToken/);
    for (const maps of [[{ FN_REGISTRY_TOKEN: "rennet" }], [{}, { FN_REGISTRY_TOKEN: "rennet" }]]) {
      const refused = codeOf("extension_misused", /"FN_REGISTRY_TOKEN" is a secret and no extension: set it with/);
      assert.throws(
        () => checkExtensionLimits(...maps),
        (error) => refused(error) && !String(error).includes("rennet"),
      );
    }
  });
});

describe("an extension", () => {
  it("is set typed, travels as text, and is read typed by a hook", () => {
    const call = withExtension(callFor("fn"), cpuShares, 256);

    assert.deepEqual(call.extensions, { "cpu-shares": "256" });
    assert.equal(extension(containerTask(call), cpuShares), 256);
  });

  it("is undefined where nobody set it", () => {
    assert.equal(extension(callFor("fn"), cpuShares), undefined);
  });

  it("is undefined for a name that every object has, and can have that name", () => {
    const odd = defineExtension("constructor", z.string());

    assert.equal(extension(callFor("fn"), odd), undefined);
    assert.equal(extension(withExtension(callFor("fn"), odd, "set"), odd), "set");
  });

  it("leaves the call it was set on as it was", () => {
    const call = callFor("fn");

    withExtension(call, cpuShares, 256);

    assert.deepEqual(call.extensions, {});
  });

  it("travels apart when it is per call, and a start hook cannot read it", () => {
    const call = withExtension(callFor("fn"), trace, "on");

    assert.deepEqual(call.extensions, {});
    assert.equal(extension(call, trace), "on");
    assert.throws(() => extension(containerTask(call), trace), /per call/);
  });

  it("may have any type that a codec writes as text", () => {
    const call = withExtension(callFor("fn"), labels, ["a", "b"]);

    assert.deepEqual(call.extensions, { labels: "a,b" });
    assert.deepEqual(extension(call, labels), ["a", "b"]);
  });

  it("blames the client for a bad value of its own, by name", () => {
    assert.throws(() => cpuShares.parse("many"), codeOf("extension_invalid", /"cpu-shares"/));
    assert.equal(new CallError("extension_invalid").status, 400);
  });

  it("blames the operator for a bad constant, by name", () => {
    assert.throws(() => withExtension(callFor("fn"), cpuShares, 1), codeOf("extension_misused", /"cpu-shares"/));
    assert.equal(new CallError("extension_misused").status, 500);
  });

  it("does not compile with a value of the wrong type", () => {
    const wrong = () => {
      // @ts-expect-error the extension's values are numbers
      withExtension(callFor("fn"), cpuShares, "256");
      // @ts-expect-error a hook reads a number, or nothing
      const shares: string | undefined = extension(containerTask(callFor("fn")), cpuShares);
      return shares;
    };

    assert.equal(typeof wrong, "function", "checked by the compiler, never run");
  });

  it("needs a name that can travel in a header", () => {
    assert.throws(() => defineExtension("cpu shares", z.string()), /printable ASCII/);
  });
});

describe("checkExtensionLimits", () => {
  it("accepts maps at the limits", () => {
    const map = Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`${i}`.padEnd(128, "x"), "v".repeat(4_096)]));

    checkExtensionLimits(map, {});
  });

  it("refuses more by name", () => {
    const many = Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`k${i}`, ""]));

    assert.throws(() => checkExtensionLimits(many, many), codeOf("extension_limit", /66 extensions/));
    assert.throws(() => checkExtensionLimits({ big: "v".repeat(4_097) }), codeOf("extension_limit", /"big"/));
    assert.throws(() => checkExtensionLimits({ ["n".repeat(129)]: "" }), codeOf("extension_limit", /128 bytes/));
  });
});
