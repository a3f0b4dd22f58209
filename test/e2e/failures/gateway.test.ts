import assert from "node:assert/strict";
import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";

import { HTTPException } from "hono/http-exception";

import { CallError } from "../../../core/call-error.ts";
import { createLog } from "../../../core/log.ts";
import type { RunnerPool } from "../../../gateway/runnerpool/runnerpool.ts";
import { eventually } from "../../../kiln/testing/eventually.ts";
import {
  assertFailure,
  callProbe,
  probeFunctions,
  type ExpectedFailure,
  type ProbeCall,
} from "../../../kiln/testing/probe-calls.ts";
import { startSystem, type System } from "../../../kiln/testing/system.ts";

interface Row {
  /** The reference's words. */
  readonly situation: string;
  /** What Kiln does about it, where the design decided otherwise than Fn. */
  readonly decided?: string;
  readonly fnId?: string;
  readonly call?: ProbeCall;
  readonly failure: ExpectedFailure;
}

const MAX_REQUEST_BYTES = 200_000;
const RUNNER_MEMORY_MIB = 256;

const byClient = (status: number, code: ExpectedFailure["code"], message: RegExp): ExpectedFailure => ({
  status,
  code,
  component: "client",
  message,
});

/** An overrider that fails as the request says. */
const failing = (text: string | undefined): void => {
  if (text === "http") throw new HTTPException(402, { message: "Pay first" });
  if (text === "call") throw new CallError("request_limit_exceeded");
  if (text === "panic") throw new TypeError("secrets are undefined");
};

/** Failures that no function has a part in: section 1.15 of the gateway's reference. */
const REFUSALS: readonly Row[] = [
  {
    situation: "unknown fn",
    decided: "404 with every way to look it up",
    fnId: "nobody",
    failure: byClient(404, "fn_not_found", /^Fn not found$/),
  },
  {
    situation: "wrong method on invoke",
    call: { method: "PUT" },
    failure: byClient(405, "method_not_allowed", /^Method not allowed: PUT \/invoke\/probe$/),
  },
  {
    situation: "body too large, declared",
    call: { body: "x".repeat(MAX_REQUEST_BYTES + 1) },
    failure: byClient(413, "request_too_big", /200001 bytes, the most is 200000/),
  },
  {
    situation: "overrider returned error, an HTTPException",
    decided: "with the call's id",
    call: { headers: { "x-fail": "http" } },
    failure: byClient(402, "refused_by_middleware", /^Pay first$/),
  },
  {
    situation: "overrider returned error, a CallError",
    decided: "with the call's id",
    call: { headers: { "x-fail": "call" } },
    failure: byClient(429, "request_limit_exceeded", /^Request limit exceeded$/),
  },
  {
    situation: "panic",
    call: { headers: { "x-fail": "panic" } },
    failure: { status: 500, code: "internal", component: "gateway", message: /^Internal server error$/ },
  },
  {
    situation: "runner's overrider returned error",
    call: { headers: { "x-fail": "runner" } },
    failure: { status: 500, code: "hook_failed", component: "operator" },
  },
  {
    situation: "BeforeCall listener error",
    decided: "listeners are call hooks, and the container goes",
    call: { headers: { "x-fail": "hook" } },
    failure: { status: 500, code: "hook_failed", component: "operator" },
  },
  {
    situation: "function needs more memory than the runner has in total",
    decided: "asked of every runner before it is said",
    fnId: "huge",
    failure: byClient(400, "resource_too_big", /it needs 300 MiB and 0 mCPU, the runner has 256 MiB/),
  },
];

const given = (headers: readonly (readonly [string, string])[]) =>
  headers.find(([name]) => name.toLowerCase() === "x-fail")?.[1];

describe("what goes wrong before a function runs (gateway reference 1.15)", { timeout: 60_000 }, () => {
  let system: System;
  const lines: string[] = [];
  before(async () => {
    system = await startSystem({
      functions: probeFunctions({ probe: {}, huge: { memory: 300 } }),
      memoryMiB: RUNNER_MEMORY_MIB,
      gatewayLimits: { maxRequestBytes: MAX_REQUEST_BYTES, bodyReadTimeoutMs: 500 },
      overriders: [
        async (c, next) => {
          failing(c.req.header("x-fail"));
          await next();
        },
      ],
      runnerOverriders: [
        (call) => {
          if (given(call.headers) === "runner") throw new Error("no such plan");
          return call;
        },
      ],
      hooks: [
        {
          call: (next) => (hot, signal) => {
            if (given(hot.headers) === "hook") throw new Error("no quota left");
            return next(hot, signal);
          },
        },
      ],
      log: createLog({ level: "info", format: "json", write: (line) => void lines.push(line) }),
    });
  });
  after(() => system[Symbol.asyncDispose]());

  for (const { situation, decided, fnId = "probe", call = {}, failure } of REFUSALS) {
    const unlikeFn = decided === undefined ? "" : ` (unlike Fn: ${decided})`;
    it(`${situation}: ${failure.status} ${failure.code}${unlikeFn}`, async () => {
      const response = await callProbe(system, fnId, {}, call);

      await assertFailure(response, failure);
    });
  }

  it("body too large, chunked: 413 request_too_big (unlike Fn: a 500)", async () => {
    const sent = request(`${system.url}/invoke/probe`, { method: "POST", agent: false });
    sent.on("error", () => {});
    sent.write("x".repeat(MAX_REQUEST_BYTES));
    sent.end("x");

    const response = await answerTo(sent);

    await assertFailure(response, byClient(413, "request_too_big", /the most is 200000/));
  });

  it("body too large, chunked, found when a runner has the call: 413, and the call ends there", async () => {
    const [runner] = system.runners;
    const sent = request(`${system.url}/invoke/probe`, { method: "POST", agent: false });
    sent.on("error", () => {});
    sent.write("x");
    await eventually(() => assert.equal(runner?.status().active, 1));

    sent.end("x".repeat(MAX_REQUEST_BYTES));

    await assertFailure(await answerTo(sent), byClient(413, "request_too_big", /the most is 200000/));
    await eventually(() => assert.equal(runner?.status().active, 0));
  });

  it("client body read error, the body does not come: 408 (unlike Fn: a 500)", async () => {
    const sent = request(`${system.url}/invoke/probe`, {
      method: "POST",
      agent: false,
      headers: { "content-length": 10 },
    });
    sent.on("error", () => {});
    sent.write("x");

    const response = await answerTo(sent);

    await assertFailure(response, byClient(408, "request_body_unreadable", /did not come within 500 ms/));
    sent.destroy();
  });

  it("client body read error, the body is not HTTP: 400 (unlike Fn: a 500)", async () => {
    const text =
      "POST /invoke/probe HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nOlive oil\r\n";

    const answer = await exchangeRaw(system.url, text);

    assert.match(answer, /^HTTP\/1.1 400 /);
    assert.match(answer, /"component":"client"/);
    assert.match(answer, /fn-call-id: [0-9A-Z]{26}/i);
    await eventually(() => assert.equal(system.runners[0]?.status().active, 0));
  });

  it("client went away: counted as 444, the runner's call is cancelled", async () => {
    const client = new AbortController();
    const calling = callProbe(system, "probe", { sleepTime: 20_000 }, { signal: client.signal });
    await eventually(() => assert.equal(system.runners[0]?.status().active, 1));
    lines.length = 0;

    client.abort();

    await assert.rejects(calling, { name: "AbortError" });
    await eventually(() => {
      assert.equal(system.runners[0]?.status().active, 0);
      assert.match(lines.join(""), /"code":"client_cancel","status":444/);
    });
  });
});

describe("what goes wrong between gateway and runners (gateway reference 1.15)", { timeout: 60_000 }, () => {
  const busy: ExpectedFailure = { status: 503, code: "server_busy", component: "gateway" };
  const functions = probeFunctions({ probe: {}, other: {} });
  const gatewayLimits = { placerTimeoutMs: 300 };

  it("no runners until placer timeout: 503 and Retry-After", async () => {
    await using system = await startSystem({ functions, gatewayLimits, runners: 0 });

    const response = await callProbe(system, "probe");

    assert.equal(response.headers.get("retry-after"), "15");
    const { retryable } = await assertFailure(response, { ...busy, message: /in 300 ms \(the pool has no runner\)$/ });
    assert.equal(retryable, true);
  });

  it("all busy until placer timeout: 503 and Retry-After", async () => {
    await using system = await startSystem({ functions, gatewayLimits, memoryMiB: 64 });
    const running = callProbe(system, "probe", { sleepTime: 1_000 });
    await eventually(() => assert.equal(system.runners[0]?.status().active, 1));

    const response = await callProbe(system, "other");

    assert.equal(response.headers.get("retry-after"), "15");
    await assertFailure(response, { ...busy, message: /in 300 ms .*needs 64 MiB .* free are 0 MiB/ });
    assert.equal((await running).status, 200);
  });

  it("all unreachable until placer timeout: 503 and Retry-After (unlike Fn: says that they are)", async () => {
    await using system = await startSystem({ functions, gatewayLimits });
    await system.members[0]?.server[Symbol.asyncDispose]();

    const response = await callProbe(system, "probe");

    assert.equal(response.headers.get("retry-after"), "15");
    const message = /^Runner 127.0.0.1:\d+ cannot be reached: /;
    await assertFailure(response, { status: 503, code: "runner_unreachable", component: "runner", message });
  });

  it("pool says user error 502 with zero runners: 502 at once", async () => {
    const reason = new CallError("function_failed", "No machine has such a GPU");
    await using system = await startSystem({ functions, pool: (listed) => poolThat(listed, reason) });

    const response = await callProbe(system, "probe");

    await assertFailure(response, {
      status: 502,
      code: "function_failed",
      component: "function",
      message: /such a GPU/,
    });
  });

  it("pool has another error: 500 at once (unlike Fn: asked again until the timeout)", async () => {
    const reason = new Error("the registry's password is Emmental");
    await using system = await startSystem({ functions, pool: (listed) => poolThat(listed, reason) });

    const response = await callProbe(system, "probe");

    const { message } = await assertFailure(response, { status: 500, code: "internal", component: "gateway" });
    assert.doesNotMatch(message, /Emmental/);
  });

  it("runner NACK: the call goes to another runner", async () => {
    await using system = await startSystem({ functions, runners: 2, memoryMiB: 64 });
    const running = callProbe(system, "probe", { sleepTime: 1_000 });
    await eventually(() => assert.equal(activeCalls(system), 1));

    const responses = await Promise.all([1, 2, 3].map(() => callProbe(system, "other", { isEmptyBody: true })));

    assert.deepEqual(
      responses.map(({ status }) => status),
      [200, 200, 200],
    );
    assert.equal((await running).status, 200);
  });

  it("connection lost after the call was sent: 502 runner_lost, not run again (unlike Fn: a 500)", async () => {
    await using system = await startSystem({ functions, runners: 2, memoryMiB: 64 });
    // Both have a warm container, so that the call runs wherever it goes.
    await Promise.all([1, 2].map(() => callProbe(system, "probe", { sleepTime: 500 })));
    const calling = callProbe(system, "probe", { sleepTime: 20_000 });
    await eventually(() => assert.equal(activeCalls(system), 1));
    const [one, other] = system.members;
    const busyOne = one?.runner.status().active === 1 ? one : other;
    const idleOne = busyOne === one ? other : one;
    const received = idleOne?.runner.status().received;

    await busyOne?.server[Symbol.asyncDispose]();

    await assertFailure(await calling, {
      status: 502,
      code: "runner_lost",
      component: "runner",
      message: /^Lost the runner while it ran the call: Runner 127.0.0.1:\d+ cannot be reached: /,
    });
    assert.equal(idleOne?.runner.status().received, received);
    await eventually(() => assert.equal(activeCalls(system), 0));
  });

  it("gateway shutting down, a call that still runs: 503 shutting_down and Retry-After", async () => {
    await using system = await startSystem({ functions, gatewayDrainMs: 300 });
    const calling = callProbe(system, "probe", { sleepTime: 20_000 });
    await eventually(() => assert.equal(activeCalls(system), 1));

    const stopping = system.stopGateway();

    const response = await calling;
    assert.equal(response.headers.get("retry-after"), "15");
    await assertFailure(response, { status: 503, code: "shutting_down", component: "gateway" });
    await stopping;
    await eventually(() => assert.equal(activeCalls(system), 0));
  });
});

function poolThat(listed: RunnerPool, reason: Error): RunnerPool {
  return { ...listed, runners: () => Promise.reject(reason), onCapacity: (hear) => listed.onCapacity(hear) };
}

function activeCalls({ runners }: System): number {
  return runners.reduce((sum, runner) => sum + runner.status().active, 0);
}

async function answerTo(sent: ReturnType<typeof request>): Promise<Response> {
  const [incoming] = (await once(sent, "response")) as [IncomingMessage];
  const chunks = await incoming.toArray();
  const headers = Object.entries(incoming.headers).map(([name, value]): [string, string] => [name, String(value)]);
  return new Response(Buffer.concat(chunks), { status: incoming.statusCode ?? 0, headers });
}

async function exchangeRaw(url: string, text: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.write(text);
  const chunks: Buffer[] = await socket.toArray();
  return Buffer.concat(chunks).toString();
}
