import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { bearerAuth } from "hono/bearer-auth";
import { bodyLimit } from "hono/body-limit";
import { cors } from "hono/cors";
import { createMiddleware } from "hono/factory";
import { HTTPException } from "hono/http-exception";

import { CallError } from "../../../core/call-error.ts";
import { NO_TIMINGS } from "../../../core/session/frames.ts";
import { overrideCall, type GatewayEnv } from "../../../gateway/overrider.ts";
import { errorBody } from "../../../kiln/testing/error-body.ts";
import { answers, echoes, readBody, refuses, runs, someTurns } from "../../../kiln/testing/fake-runner.ts";
import { gatewayFor } from "../../../kiln/testing/gateway-for.ts";

const middleware = createMiddleware<GatewayEnv>;

describe("middleware of the invoke path", () => {
  const exact = Buffer.from('{ "a" : 1.0, "b":"\\u00e9" }\n');

  for (const [how, read] of Object.entries({
    json: (c) => c.req.json(),
    text: (c) => c.req.text(),
    arrayBuffer: (c) => c.req.arrayBuffer(),
    blob: (c) => c.req.blob(),
    bytes: (c) => c.req.bytes(),
    "json after text": async (c) => [await c.req.text(), await c.req.json()],
  } satisfies Record<string, (c: Parameters<Parameters<typeof overrideCall>[0]>[1]) => Promise<unknown>>)) {
    it(`reads the body with ${how}(), and the function gets its exact bytes`, async () => {
      const seen: unknown[] = [];
      const { invoke } = gatewayFor(echoes, {
        overriders: [middleware(async (c, next) => (seen.push(await read(c)), await next()))],
      });

      const response = await invoke({ body: exact, headers: { "content-type": "application/json" } });

      assert.deepEqual(Buffer.from(await response.arrayBuffer()), exact);
      assert.equal(seen.length, 1);
    });
  }

  it("reads a form with parseBody(), and the function gets its exact bytes", async () => {
    const forms: unknown[] = [];
    const { invoke } = gatewayFor(echoes, {
      overriders: [middleware(async (c, next) => (forms.push(await c.req.parseBody()), await next()))],
    });

    const body = '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n';
    const response = await invoke({ body, headers: { "content-type": "multipart/form-data; boundary=x" } });

    assert.equal(await response.text(), body);
    assert.deepEqual(
      forms.map((form) => ({ ...(form as object) })),
      [{ a: "1" }],
    );
  });

  it("cannot change what the function gets by writing into what it read", async () => {
    const { invoke } = gatewayFor(echoes, {
      overriders: [middleware(async (c, next) => (new Uint8Array(await c.req.arrayBuffer()).fill(0), await next()))],
    });

    assert.equal(await (await invoke({ body: "as it was" })).text(), "as it was");
  });

  it("answers 413 where it reads more than may be held", async () => {
    const { invoke, runner } = gatewayFor(echoes, {
      overriders: [middleware(async (c, next) => (await c.req.text(), await next()))],
      limits: { maxBufferedBytes: 10 },
    });

    const response = await invoke({ body: "x".repeat(11) });

    assert.equal(response.status, 413);
    assert.match((await errorBody(response)).message, /11 bytes, the most is 10/);
    assert.equal(runner.offered.length, 0);
  });

  it("takes the raw body away from the function, and is told so", async () => {
    const ways: ((raw: Request) => Promise<unknown>)[] = [
      (raw) => raw.text(),
      (raw) => raw.body?.getReader().read() ?? Promise.resolve(),
    ];
    for (const read of ways) {
      const { invoke, runner } = gatewayFor(echoes, {
        overriders: [middleware(async (c, next) => (await read(c.req.raw), await next()))],
      });

      const response = await invoke({ body: "gone" });

      assert.equal(response.status, 500);
      const body = await errorBody(response);
      assert.equal(body.code, "body_consumed");
      assert.equal(body.component, "operator");
      assert.equal(runner.offered.length, 0);
    }
  });

  it("may clone the raw request", async () => {
    const { invoke } = gatewayFor(echoes, {
      overriders: [middleware(async (c, next) => (await c.req.raw.clone().text(), await next()))],
    });

    assert.equal(await (await invoke({ body: "both" })).text(), "both");
  });

  it("may put another request in the place of the client's, as Hono's body limit does", async () => {
    const { invoke } = gatewayFor(echoes, { overriders: [bodyLimit({ maxSize: 10 })] });

    const fits = await invoke({ body: chunks("12345", "67890"), duplex: "half" });
    const exceeds = await invoke({ body: chunks("12345", "678901"), duplex: "half" });

    assert.equal(await fits.text(), "1234567890");
    assert.equal(exceeds.status, 413);
    assert.equal((await errorBody(exceeds)).message, "Payload Too Large");
  });

  it("refuses by throwing an HTTPException, whose status, message and headers the answer has", async () => {
    const { invoke, runner } = gatewayFor(answers(""), {
      overriders: [
        middleware(() => {
          const res = new Response("ignored", { headers: { "WWW-Authenticate": "Bearer", "Content-Length": "7" } });
          throw new HTTPException(401, { message: "Who are you", res });
        }),
      ],
    });

    const response = await invoke();

    assert.equal(response.status, 401);
    assert.equal(response.headers.get("www-authenticate"), "Bearer");
    const body = await errorBody(response);
    assert.equal(body.message, "Who are you");
    assert.equal(body.code, "refused_by_middleware");
    assert.equal(runner.offered.length, 0);
  });

  for (const [status, code] of [
    [400, "invalid_request"],
    [402, "refused_by_middleware"],
    [403, "refused_by_middleware"],
    [404, "not_found"],
    [413, "request_too_big"],
    [429, "too_many_requests"],
    [500, "internal"],
    [503, "server_busy"],
  ] as const) {
    it(`calls an HTTPException of ${status} ${code}`, async () => {
      const { invoke } = gatewayFor(answers(""), {
        overriders: [middleware(() => Promise.reject(new HTTPException(status)))],
      });

      const response = await invoke();

      assert.equal(response.status, status);
      assert.equal((await errorBody(response)).code, code);
    });
  }

  it("may send the client elsewhere", async () => {
    const res = new Response(null, { status: 302, headers: { Location: "https://login.example/" } });
    const { invoke } = gatewayFor(answers(""), {
      overriders: [middleware(() => Promise.reject(Object.assign(new HTTPException(500, { res }), { status: 302 })))],
    });

    const response = await invoke();

    assert.equal(response.status, 302);
    assert.equal(response.headers.get("location"), "https://login.example/");
    assert.ok(response.headers.has("fn-call-id"));
  });

  it("works with Hono's own authentication", async () => {
    const { invoke } = gatewayFor(answers("in"), { overriders: [bearerAuth({ token: "secret" })] });

    const refused = await invoke();
    const admitted = await invoke({ headers: { Authorization: "Bearer secret" } });

    assert.equal(refused.status, 401);
    assert.equal(refused.headers.get("www-authenticate"), 'Bearer realm=""');
    assert.equal((await errorBody(refused)).message, "Unauthorized");
    assert.equal(await admitted.text(), "in");
  });

  it("works with CORS: preflight, answers and errors", async () => {
    const { app, invoke } = gatewayFor(answers("in"), { overriders: [cors({ origin: "https://a.example" })] });
    const headers = { Origin: "https://a.example", "Access-Control-Request-Method": "POST" };

    const preflight = await app.request("/invoke/hello", { method: "OPTIONS", headers });
    const answer = await invoke({ headers });
    const missing = await app.request("/invoke/unknown", { method: "POST", headers });

    assert.equal(preflight.status, 204);
    assert.equal(answer.headers.get("access-control-allow-origin"), "https://a.example");
    assert.equal(missing.status, 404);
    assert.equal(missing.headers.get("access-control-allow-origin"), "https://a.example");
    assert.equal((await errorBody(missing)).code, "fn_not_found");
  });

  it("goes before a function's absence: who may not call does not learn what exists", async () => {
    const { app, lines } = gatewayFor(answers(""), { overriders: [bearerAuth({ token: "secret" })] });
    const as = (token: string) =>
      app.request("/invoke/unknown", { method: "POST", headers: { Authorization: `Bearer ${token}` } });

    assert.equal((await as("wrong")).status, 401);
    assert.equal((await as("secret")).status, 404);
    assert.ok(!lines.some((line) => line.includes('"error"') && line.includes("TypeError")));
  });

  it("that takes the call for granted does not turn 404 into 500", async () => {
    const { app } = gatewayFor(answers(""), {
      overriders: [
        overrideCall((call) => ({ ...call, memoryMiB: 1 })),
        middleware((c, next) => (assert.ok(c.var.call.id), next())),
      ],
    });

    const response = await app.request("/invoke/unknown", { method: "POST" });

    assert.equal(response.status, 404);
    assert.equal((await errorBody(response)).code, "fn_not_found");
  });

  it("answers itself without placing, and the answer carries the call's id", async () => {
    const { invoke, runner } = gatewayFor(answers(""), {
      overriders: [middleware(async (c) => c.json({ no: "thanks" }, 403))],
    });

    const response = await invoke();

    assert.equal(response.status, 403);
    assert.deepEqual(await response.json(), { no: "thanks" });
    assert.match(response.headers.get("fn-call-id") ?? "", /^[0-9A-Z]{26}$/);
    assert.equal(runner.offered.length, 0);
  });

  it("sets headers before and after next", async () => {
    const { invoke } = gatewayFor(answers("hi", { headers: [["Content-Type", "text/plain"]] }), {
      overriders: [
        middleware(async (c, next) => {
          c.header("X-Before", "1");
          await next();
          c.header("X-After", "2");
          c.res.headers.set("X-Later", "3");
        }),
      ],
    });

    const response = await invoke();

    assert.deepEqual(
      ["x-before", "x-after", "x-later"].map((name) => response.headers.get(name)),
      ["1", "2", "3"],
    );
    assert.equal(await response.text(), "hi");
  });

  it("reads the call's runner, warmth and phases after next", async () => {
    const timings = { waitMs: 5, pullMs: 0, startMs: 3, initMs: 2, runMs: 40 };
    const seen: unknown[] = [];
    const { invoke } = gatewayFor(answers("hi", { timings }), {
      overriders: [
        middleware(async (c, next) => {
          await next();
          seen.push({ ...c.var.outcome, finished: 0 });
          c.header("X-Run", String(c.var.outcome?.timings?.runMs));
        }),
      ],
    });

    const response = await invoke();

    assert.equal(response.headers.get("x-run"), "40");
    const expected = {
      runner: "runner-1:9190",
      containerId: "container-1",
      warm: true,
      attempts: 1,
      fdkVersion: undefined,
      phase: undefined,
      timings,
      finished: 0,
    };
    assert.deepEqual(seen, [expected]);
  });

  it("reads them of a streamed answer once it is over", async () => {
    const timings = { ...NO_TIMINGS, runMs: 7 };
    const seen: (number | undefined)[] = [];
    const { invoke } = gatewayFor(
      runs(async (sink) => {
        sink.head({ status: 200, headers: [] });
        sink.data(Buffer.from("a"), () => {});
        await someTurns();
        sink.finish({ ok: true, timings });
      }),
      {
        overriders: [
          middleware(async (c, next) => {
            await next();
            seen.push(c.var.outcome?.timings?.runMs);
            void c.var.outcome?.finished.then(() => seen.push(c.var.outcome?.timings?.runMs));
          }),
        ],
      },
    );

    assert.equal(await (await invoke()).text(), "a");
    await someTurns();

    assert.deepEqual(seen, [undefined, 7]);
  });

  it("has no outcome where nothing was placed, and one without a runner where nobody took the call", async () => {
    const seen: unknown[] = [];
    const watch = middleware(async (c, next) => {
      await next();
      seen.push(c.var.outcome?.runner, c.error?.name);
    });
    const refused = gatewayFor(answers(""), { overriders: [watch, middleware(async (c) => c.text("no", 403))] });
    const busy = gatewayFor(refuses(), { overriders: [watch] });

    await refused.invoke();
    await busy.invoke();

    assert.deepEqual(seen, [undefined, undefined, undefined, "CallError"]);
  });

  it("may throw anything at any time: the answer is the error alone, and the call is over", async () => {
    const after = [() => Promise.reject(new Error("late")), () => Promise.reject("not an Error" as unknown as Error)];
    for (const fail of after) {
      const { invoke, runner } = gatewayFor(
        runs((sink) => {
          sink.head({
            status: 200,
            headers: [
              ["X-Function", "1"],
              ["Content-Type", "image/png"],
            ],
          });
          sink.data(Buffer.from("never seen"), () => {});
        }),
        { overriders: [middleware(async (_c, next) => (await next(), fail()))] },
      );

      const response = await invoke();

      assert.equal(response.status, 500);
      assert.equal(response.headers.get("x-function"), null);
      assert.equal((await errorBody(response)).message, "Internal server error");
      assert.equal(runner.signals[0]?.aborted, true);
    }
  });

  it("that forgets both answer and next is told of", async () => {
    const { invoke, lines } = gatewayFor(answers(""), { overriders: [middleware(async () => {})] });

    assert.equal((await invoke()).status, 500);
    assert.ok(lines.some((line) => line.includes("Did you forget to return a Response object or `await next()`")));
  });

  it("may set another call without overrideCall", async () => {
    const { invoke, runner } = gatewayFor(answers(""), {
      overriders: [
        middleware(async (c, next) => (c.set("call", { ...c.get("call"), image: "canary:2" }), await next())),
      ],
    });

    await invoke();

    assert.equal(runner.offered[0]?.call.image, "canary:2");
  });

  it("throws a CallError of its own choice", async () => {
    const { invoke } = gatewayFor(answers(""), {
      overriders: [middleware(() => Promise.reject(new CallError("request_limit_exceeded")))],
    });

    const response = await invoke();

    assert.equal(response.status, 429);
    assert.equal((await errorBody(response)).code, "request_limit_exceeded");
  });

  it("runs for no other route", async () => {
    let ran = 0;
    const { app } = gatewayFor(answers(""), { overriders: [middleware((_c, next) => ((ran += 1), next()))] });

    await app.request("/");
    await app.request("/nope");

    assert.equal(ran, 0);
  });

  it("leaves the body alone where it does not read it", async () => {
    const { invoke, runner } = gatewayFor(answers(""), { overriders: [middleware((_c, next) => next())] });

    await invoke({ body: "as is" });

    const [call] = runner.offered;
    assert.ok(call !== undefined);
    assert.equal((await readBody(call)).toString(), "as is");
  });
});

function chunks(...texts: readonly string[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const text of texts) controller.enqueue(Buffer.from(text));
      controller.close();
    },
  });
}
