import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import {
  assertFailure,
  assertReset,
  callProbe,
  probeFunctions,
  probeInstance,
  type ExpectedFailure,
  type Orders,
  type ProbeFields,
} from "../../../kiln/testing/probe-calls.ts";
import { startSystem, type System } from "../../../kiln/testing/system.ts";

interface Row {
  /** The reference's words. */
  readonly situation: string;
  /** What Kiln does about it, where the design decided otherwise than Fn. */
  readonly decided?: string;
  readonly fn?: ProbeFields;
  readonly orders: Orders;
  readonly body?: string;
  readonly outcome: ExpectedFailure | "ok" | "reset";
  /** Whether the container runs another call. */
  readonly survives: boolean;
}

const MIB = 1024 * 1024;
const MAX_RESPONSE_BYTES = 2 * MIB;
const MAX_HEADER_BYTES = 65_536;

const byFunction = (status: number, code: ExpectedFailure["code"], message?: RegExp): ExpectedFailure => ({
  status,
  code,
  component: "function",
  ...(message === undefined ? {} : { message }),
});

const BROKEN = byFunction(502, "function_response", /error receiving function response: /);

/** What one call of a started function can come to: section 2.14 of the runner's reference, first table. */
const OUTCOMES: readonly Row[] = [
  { situation: "FDK 200", orders: {}, outcome: "ok", survives: true },
  {
    situation: "FDK 502",
    orders: { httpStatus: 502 },
    outcome: byFunction(502, "function_failed", /^function failed$/),
    survives: true,
  },
  {
    situation: "FDK 504",
    orders: { httpStatus: 504 },
    outcome: byFunction(504, "call_timeout", /^Timed out: the function says so/),
    survives: true,
  },
  {
    situation: "FDK any other status",
    orders: { httpStatus: 418 },
    outcome: byFunction(502, "function_invalid_response", /status 418, expected 200, 502 or 504/),
    survives: false,
  },
  {
    situation: "connection error",
    orders: { breakAt: "beforeHead", breakHow: "close" },
    outcome: BROKEN,
    survives: false,
  },
  {
    situation: "connection error: an answer that is not HTTP",
    orders: { breakAt: "beforeHead", breakHow: "raw", raw: "Olive oil is a liquid fat\r\n\r\n" },
    outcome: BROKEN,
    survives: false,
  },
  {
    situation: "half-closed socket",
    orders: { breakAt: "beforeHead", breakHow: "half-close" },
    outcome: BROKEN,
    survives: false,
  },
  {
    situation: "half-closed socket after a part of the answer",
    decided: "a failure after the first byte resets the connection",
    orders: { outputBytes: MIB, breakAt: "midBody", breakHow: "half-close" },
    outcome: "reset",
    survives: false,
  },
  {
    situation: "crash",
    orders: { breakAt: "beforeHead", breakHow: "throw" },
    outcome: byFunction(502, "function_response", /the container exited with code 1$/),
    survives: false,
  },
  {
    situation: "exit",
    orders: { isExit: true, exitCode: 7 },
    outcome: byFunction(502, "function_response", /the container exited with code 7$/),
    survives: false,
  },
  {
    situation: "exit after a part of the answer",
    decided: "a failure after the first byte resets the connection",
    orders: { outputBytes: MIB, breakAt: "midBody" },
    outcome: "reset",
    survives: false,
  },
  {
    situation: "an answer that is shorter than it declared",
    decided: "a failure after the first byte resets the connection",
    orders: { outputBytes: 100_000, declareLength: 200_000, closeConnection: true },
    outcome: "reset",
    survives: false,
  },
  {
    situation: "execution deadline while waiting for headers",
    fn: { timeout: 1 },
    orders: { sleepTime: 10_000 },
    outcome: byFunction(504, "call_timeout", /the function's timeout of 1000 ms passed \(.*\d+ ms running\)/),
    survives: false,
  },
  {
    situation: "execution deadline between head and body",
    fn: { timeout: 1 },
    orders: { outputBytes: 10, bodyDelayMs: 10_000 },
    outcome: byFunction(504, "call_timeout", /the function's timeout of 1000 ms passed/),
    survives: false,
  },
  {
    situation: "execution deadline while copying the body",
    decided: "a failure after the first byte resets the connection",
    fn: { timeout: 1 },
    orders: { outputBytes: MIB, chunkBytes: 1_000, chunkDelayMs: 100 },
    outcome: "reset",
    survives: false,
  },
  {
    situation: "response headers over limit",
    orders: { hugeHeaderBytes: MAX_HEADER_BYTES },
    outcome: byFunction(502, "function_response_header_too_big"),
    survives: false,
  },
  {
    situation: "response body over FN_MAX_RESPONSE_SIZE, declared",
    orders: { outputBytes: MAX_RESPONSE_BYTES + 1, declareLength: true },
    outcome: byFunction(502, "function_response_too_big", /2097153 bytes, the limit is 2097152/),
    survives: true,
  },
  {
    situation: "response body over FN_MAX_RESPONSE_SIZE, found while it streams",
    decided: "a failure after the first byte resets the connection",
    orders: { outputBytes: 2 * MAX_RESPONSE_BYTES },
    outcome: "reset",
    survives: true,
  },
  {
    situation: "function stops reading the request",
    orders: { readBody: "part", readBytes: 10_000, breakAt: "beforeHead", breakHow: "close" },
    body: "x".repeat(4 * MIB),
    outcome: BROKEN,
    survives: false,
  },
  {
    situation: "function answers before reading all input",
    decided: "an early answer is an answer, over a connection that no other call uses",
    orders: { readBody: "never", isEmptyBody: true },
    body: "x".repeat(4 * MIB),
    outcome: "ok",
    survives: true,
  },
];

describe("what one call comes to (runner reference 2.14)", { concurrency: 4, timeout: 120_000 }, () => {
  let system: System;
  before(async () => {
    // Of one container each: a client may hear of its call's end before the function has come to its own.
    const rows = OUTCOMES.map(({ fn }, row) => [`row-${row}`, { max_containers: 1, ...fn }]);
    system = await startSystem({
      functions: probeFunctions(Object.fromEntries(rows)),
      runnerLimits: { maxResponseBytes: MAX_RESPONSE_BYTES, maxHeaderBytes: MAX_HEADER_BYTES },
    });
  });
  after(() => system[Symbol.asyncDispose]());

  for (const [row, { situation, decided, orders, body, outcome, survives }] of OUTCOMES.entries()) {
    const what = outcome === "ok" ? "200" : outcome === "reset" ? "a reset" : `${outcome.status} ${outcome.code}`;
    const fate = survives ? "and the container continues" : "and the container goes";
    const unlikeFn = decided === undefined ? "" : ` (unlike Fn: ${decided})`;

    it(`${situation}: ${what}, ${fate}${unlikeFn}`, async () => {
      const fnId = `row-${row}`;
      const instance = await probeInstance(system, fnId);

      const response = await callProbe(system, fnId, orders, body === undefined ? {} : { body });

      if (outcome === "ok") assert.equal(response.status, 200, await response.text());
      else if (outcome === "reset") await assertReset(response);
      else await assertFailure(response, outcome);
      assert.match(response.headers.get("fn-call-id") ?? "", /^[0-9A-HJKMNP-TV-Z]{26}$/);
      assert.equal((await probeInstance(system, fnId)) === instance, survives);
    });
  }
});
