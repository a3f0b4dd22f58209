import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";

import { eventually } from "../../kiln/testing/eventually.ts";
import { inlineRunner } from "../../kiln/testing/inline-runner.ts";
import { callProbe, probeFunctions } from "../../kiln/testing/probe-calls.ts";
import { slowClient } from "../../kiln/testing/slow-client.ts";
import { startSystem, type System } from "../../kiln/testing/system.ts";

const CALLS = 60;
const DETACHED = { "fn-invoke-type": "detached" };

describe("the body that a function gets", { timeout: 60_000 }, () => {
  let system: System;
  /** What functions were sent, each whole. */
  const got: Buffer[] = [];
  let mayAnswer = Promise.withResolvers<void>();
  before(async () => {
    const serve = async (request: IncomingMessage, response: ServerResponse) => {
      const body = await buffer(request);
      got.push(body);
      await mayAnswer.promise;
      response.end(body);
    };
    system = await startSystem({
      functions: probeFunctions({ keeps: { timeout: 20 }, late: { timeout: 1 } }),
      makeRunner: (runnerId) =>
        inlineRunner(runnerId, (request, response) => void serve(request, response).catch(() => response.destroy())),
    });
  });
  after(() => system[Symbol.asyncDispose]());

  it("is its own call's, of many detached calls whose clients have had their 202 (unlike Fn: Q15)", async () => {
    // More calls than containers: most wait in the gateway with their bodies, their clients' connections used again.
    const bodies = Array.from({ length: CALLS }, (_, i) => Buffer.alloc(1 + ((i * 7_919) % 150_000), i));
    const calling = bodies.map((body) => callProbe(system, "keeps", {}, { body, headers: DETACHED }));
    await eventually(() => assert.ok(got.length > 0));

    const first = await Promise.race(calling);
    assert.equal(first.status, 202, "answered while the function still runs");
    mayAnswer.resolve();

    for (const response of await Promise.all(calling)) {
      assert.deepEqual([response.status, await response.text()], [202, ""]);
    }
    await eventually(() => assert.equal(got.length, CALLS));
    const inOrder = got.toSorted((a, b) => (a[0] ?? 0) - (b[0] ?? 0));
    inOrder.forEach((body, i) => assert.ok(body.equals(bodies[i] ?? Buffer.of()), `body ${i}`));
  });

  it("is never what came late for the call before it (Fn's TestPipesAreClear)", async () => {
    mayAnswer = Promise.withResolvers<void>();
    mayAnswer.resolve();
    const late = slowClient(system.url, "late", {}, { streams: true });
    late.send("what the first call ");
    const answer = await late.answer;
    assert.equal(answer?.statusCode, 504);
    late.send("said too late");

    const response = await callProbe(system, "late", {}, { body: "the second call's own" });

    assert.equal(await response.text(), "the second call's own");
    late.leave();
  });
});
