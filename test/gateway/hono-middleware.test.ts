import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { bodyLimit } from "hono/body-limit";
import { compress } from "hono/compress";
import { createMiddleware } from "hono/factory";
import { requestId } from "hono/request-id";
import { secureHeaders } from "hono/secure-headers";
import { timeout } from "hono/timeout";

import { NO_TIMINGS } from "../../core/session/frames.ts";
import { listen } from "../../gateway/listen.ts";
import type { GatewayEnv, Overrider } from "../../gateway/overrider.ts";
import { answers, echoes, runs, someTurns, type Behaviour } from "../../kiln/testing/fake-runner.ts";
import { gatewayFor } from "../../kiln/testing/gateway-for.ts";

/** A gateway on a real socket, where Hono meets the HTTP server's own requests and responses. */
async function served(behaviour: Behaviour, ...overriders: readonly Overrider[]) {
  const gateway = gatewayFor(behaviour, { overriders });
  const listener = await listen(gateway.app, { host: "127.0.0.1", port: 0 });
  const post = (init: RequestInit = {}) =>
    fetch(`http://${listener.address}/invoke/hello`, { method: "POST", ...init });
  return { ...gateway, post, [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose]() };
}

/** Answers in two pieces, the second when the first is on its way. */
const streams = (first: string, second: string): Behaviour =>
  runs(async (sink) => {
    sink.head({ status: 200, headers: [["Content-Type", "text/plain"]] });
    sink.data(Buffer.from(first), () => {});
    await someTurns();
    sink.data(Buffer.from(second), () => {});
    sink.finish({ ok: true, timings: NO_TIMINGS });
  });

describe("Hono's own middleware, over a socket", () => {
  it("limits bodies, declared or not, and lets the rest through whole", async () => {
    await using gateway = await served(echoes, bodyLimit({ maxSize: 10 }));
    const chunked = (text: string) => new Blob([text]).stream();

    assert.equal(await (await gateway.post({ body: "1234567890" })).text(), "1234567890");
    assert.equal((await gateway.post({ body: "12345678901" })).status, 413);
    assert.equal(await (await gateway.post({ body: chunked("1234567890"), duplex: "half" })).text(), "1234567890");
    assert.equal((await gateway.post({ body: chunked("12345678901"), duplex: "half" })).status, 413);
  });

  it("compresses whole answers and streamed ones", async () => {
    const long = "x".repeat(5_000);
    for (const behaviour of [answers(long, { headers: [["Content-Type", "text/plain"]] }), streams(long, long)]) {
      await using gateway = await served(behaviour, compress({ encoding: "gzip" }));

      const response = await gateway.post({ headers: { "Accept-Encoding": "gzip" } });

      assert.equal(response.headers.get("content-encoding"), "gzip");
      assert.match(await response.text(), /^x{5000}(x{5000})?$/);
      assert.ok(response.headers.has("fn-call-id"));
    }
  });

  it("gives up on a call that takes too long, and the runner is told", async () => {
    await using gateway = await served(
      runs(() => {}),
      timeout(50),
    );

    const response = await gateway.post();

    assert.equal(response.status, 504);
    const body = JSON.parse(await response.text());
    assert.equal(body.callId, response.headers.get("fn-call-id"));
    assert.equal(gateway.runner.signals[0]?.aborted, true);
  });

  it("adds headers of its own to whole answers, streamed ones and errors", async () => {
    const late = createMiddleware<GatewayEnv>(async (c, next) => {
      await next();
      c.header("X-Late", "yes");
    });
    for (const behaviour of [
      answers("ab"),
      streams("a", "b"),
      runs((sink) => sink.finish({ ok: true, timings: NO_TIMINGS })),
    ]) {
      await using gateway = await served(behaviour, requestId(), secureHeaders(), late);

      const response = await gateway.post({ headers: { "X-Request-Id": "r-1" } });

      assert.match(await response.text(), /^ab$|runner_protocol/);
      assert.equal(response.headers.get("x-request-id"), "r-1");
      assert.equal(response.headers.get("x-content-type-options"), "nosniff");
      assert.equal(response.headers.get("x-late"), "yes");
    }
  });
});
