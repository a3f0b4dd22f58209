import assert from "node:assert/strict";
import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { describe, it } from "node:test";

import { cors } from "hono/cors";
import { createMiddleware } from "hono/factory";

import { NO_TIMINGS, type ResponseHead } from "../../../core/session/frames.ts";
import { listen } from "../../../gateway/listen.ts";
import { overrideCall, type GatewayEnv } from "../../../gateway/overrider.ts";
import { errorBody } from "../../../kiln/testing/error-body.ts";
import { eventually } from "../../../kiln/testing/eventually.ts";
import { answers, echoes, fails, readBody, runs, type Behaviour } from "../../../kiln/testing/fake-runner.ts";
import { FakeTriggers, triggerFor } from "../../../kiln/testing/fake-triggers.ts";
import { gatewayFor, type GatewayForOptions } from "../../../kiln/testing/gateway-for.ts";

type Headers = ResponseHead["headers"];

const EVERY_WAY = [triggerFor("/"), triggerFor("/hook"), triggerFor("/orders/new thing")];

function triggered(behaviour: Behaviour, options: GatewayForOptions = {}, triggers = EVERY_WAY) {
  const gateway = gatewayFor(behaviour, { triggers: new FakeTriggers(...triggers), ...options });
  const call = async (path: string, init: RequestInit = {}) => gateway.app.request(path, init);
  const offered = () => {
    const [only] = gateway.runner.offered;
    assert.ok(only !== undefined);
    return only;
  };
  return { ...gateway, call, offered };
}

/** On a real socket, with a request of any method and any headers. */
async function served(behaviour: Behaviour, options?: GatewayForOptions, triggers = EVERY_WAY) {
  const gateway = triggered(behaviour, options, triggers);
  const listener = await listen(gateway.app, { host: "127.0.0.1", port: 0, drainTimeoutMs: 1_000 });
  const send = async (method: string, path: string, headers: Record<string, string | string[]> = {}, body = "") => {
    const sent = request({
      host: "127.0.0.1",
      port: listener.port,
      method,
      path,
      headers: { host: "shop", ...headers },
    });
    sent.end(body);
    const [answer] = (await once(sent, "response")) as [IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of answer) chunks.push(chunk as Buffer);
    return { status: answer.statusCode, headers: answer.headers, text: Buffer.concat(chunks).toString() };
  };
  return { ...gateway, send, [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose]() };
}

const FAILED = { ok: false, message: "", timings: NO_TIMINGS, status: undefined, stderrTail: "" } as const;
const answersWith = (headers: Headers, body = "hello", status = 200) => answers(body, { headers, status });

describe("ANY /t/:app/*", () => {
  for (const [path, source] of [
    ["/t/app", "/"],
    ["/t/app/", "/"],
    ["/t/app/hook", "/hook"],
    ["/t/app/hook?x=1", "/hook"],
    ["/t/app/%68ook", "/hook"],
    ["/t/app/orders%2Fnew%20thing", "/orders/new thing"],
  ] as const) {
    it(`takes ${path} for the source ${source}`, async () => {
      const { call, offered, lines } = triggered(answers("hello"));

      const response = await call(path);

      assert.equal(response.status, 200);
      assert.equal(await response.text(), "hello");
      assert.equal(response.headers.get("fn-call-id"), offered().call.id);
      assert.equal(offered().call.fnId, "hello");
      await eventually(() => assert.match(lines.join(), new RegExp(`"trigger_id":"id of ${source}"`)));
    });
  }

  for (const [path, code] of [
    ["/t/unknown/hook", "app_not_found"],
    ["/t/app/unknown", "trigger_not_found"],
    ["/t/app/hook/", "trigger_not_found"],
    ["/t/app/HOOK", "trigger_not_found"],
    ["/t/app//hook", "trigger_not_found"],
    ["/t/app/hook%2", "trigger_not_found"],
    ["/t/app/%ff", "trigger_not_found"],
    ["/t/app/hook%00", "trigger_not_found"],
    ["/t/App/hook", "app_not_found"],
    ["/t", "not_found"],
    ["/t/", "not_found"],
  ] as const) {
    it(`answers ${path} with 404 ${code}`, async () => {
      for (const method of ["GET", "POST"]) {
        const { call, runner } = triggered(answers("never"));

        const response = await call(path, { method, ...(method === "POST" ? { body: '{"a":1}' } : {}) });

        assert.equal(response.status, 404);
        assert.equal((await errorBody(response)).code, code);
        assert.equal(runner.offered.length, 0);
      }
    });
  }

  it("answers 404 where the function went and the trigger has not yet", async () => {
    const orphan = { ...triggerFor("/orphan"), fnId: "gone" };
    const { call } = triggered(answers("never"), {}, [orphan]);

    assert.equal((await errorBody(await call("/t/app/orphan"))).code, "fn_not_found");
  });

  it("frames the request: Fn's headers are the gateway's alone, what is of one hop stays behind", async () => {
    await using gateway = await served(answers(""));

    await gateway.send(
      "PUT",
      "/t/app/hook?a=b%20c",
      {
        "content-type": "text/plain",
        "test-header": ["one", "two"],
        connection: "close, x-hop",
        "x-hop": "1",
        "keep-alive": "timeout=5",
        te: "trailers",
        "fn-intent": "spoofed",
        "fn-http-method": "SPOOF",
        "fn-invoke-type": "detached",
        "fn-http-param-id": "spoofed",
      },
      "four",
    );

    const { call } = gateway.offered();
    assert.deepEqual(
      call.headers.map(([name, value]) => `${name}: ${value}`),
      [
        "content-type: text/plain",
        "Fn-Http-H-Test-Header: one",
        "Fn-Http-H-Test-Header: two",
        "Fn-Http-H-Te: trailers",
        "Fn-Http-H-Fn-Intent: spoofed",
        "Fn-Http-H-Fn-Http-Method: SPOOF",
        "Fn-Http-H-Fn-Invoke-Type: detached",
        "Fn-Http-H-Fn-Http-Param-Id: spoofed",
        "Fn-Http-H-Content-Length: 4",
        "Fn-Http-Method: PUT",
        "Fn-Http-Request-Url: http://shop/t/app/hook?a=b%20c",
        "Fn-Intent: httprequest",
      ],
    );
    assert.equal(call.type, "sync");
    assert.equal((await readBody(gateway.offered())).toString(), "four");
  });

  it("gives the client what the function framed, and nothing else of it", async () => {
    const { call, offered, metrics, lines } = triggered(
      answersWith([
        ["Content-Type", "text/plain"],
        ["Fn-Http-Status", "202"],
        ["Fn-Http-H-Return-Header", "a"],
        ["Fn-Http-H-Return-Header", "b"],
        ["Fn-Http-H-Set-Cookie", "a=1"],
        ["Fn-Http-H-Set-Cookie", "b=2"],
        ["Fn-Http-H-", "bare"],
        ["Fn-Http-H-Transfer-Encoding", "chunked"],
        ["Fn-Http-H-Connection", "x-hop"],
        ["Fn-Http-H-X-Hop", "1"],
        ["Fn-Http-H-Content-Length", "999"],
        ["Fn-Http-H-Fn-Call-Id", "mine"],
        ["Fn-Fdk-Version", "fdk-go/0.0.1"],
        ["X-Plain", "dropped"],
      ]),
    );

    const response = await call("/t/app/hook");

    assert.equal(response.status, 202);
    assert.equal(await response.text(), "hello");
    assert.deepEqual(Object.fromEntries(response.headers), {
      "content-length": "5",
      "content-type": "text/plain",
      "fn-call-id": offered().call.id,
      "return-header": "a, b",
      "set-cookie": "b=2",
    });
    assert.deepEqual(response.headers.getSetCookie(), ["a=1", "b=2"]);
    assert.match(metrics.render(), /fn_fdk_calls\{fn_fdk_version="fdk-go\/0\.0\.1"\} 1/);
    assert.match(metrics.render(), /fn_api_latency_count\{.*path="\/t\/:app_name\/\*source".*status="202"/);
    assert.match(lines.join(), /"fdk":"fdk-go\/0\.0\.1"/);
  });

  for (const [value, expected] of [
    ["404", 404],
    ["503", 503],
    ["abc", 200],
    ["0", 200],
    ["", 200],
    ["42", 502],
    ["101", 502],
  ] as const) {
    it(`answers Fn-Http-Status "${value}" with ${expected}`, async () => {
      const { call } = triggered(answersWith([["Fn-Http-Status", value]]));

      const response = await call("/t/app/hook");

      assert.equal(response.status, expected);
      if (expected === 502) assert.equal((await errorBody(response)).code, "function_invalid_response");
    });
  }

  it("answers 204 without a body, and a content type that was framed without another", async () => {
    const framed: Headers = [
      ["Content-Type", "text/plain"],
      ["Fn-Http-H-Content-Type", "text/html"],
    ];
    const nothing = await triggered(answersWith([["Fn-Http-Status", "204"]], "")).call("/t/app/hook");
    const page = await triggered(answersWith(framed)).call("/t/app/hook");

    assert.equal(nothing.status, 204);
    assert.equal(page.headers.get("content-type"), "text/html");
  });

  it("tells errors on clean headers", async () => {
    const headers: Headers = [
      ["Fn-Http-H-X-Leak", "1"],
      ["Content-Length", "3"],
    ];
    const broken = runs((sink) => {
      sink.head({ status: 200, headers });
      sink.finish({ ...FAILED, code: "function_failed" });
    });

    const response = await triggered(broken).call("/t/app/hook");

    assert.equal(response.status, 502);
    assert.equal((await errorBody(response)).code, "function_failed");
    assert.deepEqual([...response.headers.keys()].sort(), ["content-type", "fn-call-id"]);
    const timeout = await triggered(fails("call_timeout")).call("/t/app/hook");
    assert.equal(timeout.status, 504);
  });

  it("takes every method that Fn takes, with a body, and refuses others with 405", async () => {
    for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]) {
      await using gateway = await served(echoes);

      const response = await gateway.send(method, "/t/app/hook", { "content-length": "4" }, "body");

      assert.equal(response.status, 200, method);
      assert.equal(response.text, "body", method);
      assert.equal(gateway.offered().call.method, method);
    }
    await using gateway = await served(answers("never"));
    const refused = await gateway.send("PROPFIND", "/t/app/hook");
    assert.equal(refused.status, 405);
    assert.equal(refused.headers.allow, "GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS, CONNECT, TRACE");
    assert.equal(gateway.runner.offered.length, 0);
  });

  it("runs HEAD to its end and leaves the body away", async () => {
    const streamed = runs(async (sink) => {
      sink.head({ status: 200, headers: [["Fn-Http-Status", "201"]] });
      for (let i = 0; i < 3; i++) {
        await new Promise<void>((taken) => sink.data(Buffer.from("abc"), () => taken()));
      }
      sink.finish({ ok: true, timings: NO_TIMINGS });
    });
    await using gateway = await served(streamed);

    const response = await gateway.send("HEAD", "/t/app/hook");

    assert.equal(response.status, 201);
    assert.equal(response.headers["content-length"], "9");
    assert.equal(response.text, "");
    assert.match(gateway.metrics.render(), /^fn_completed 1$/m);
    const failed = triggered(
      runs((sink) => {
        sink.head({ status: 200, headers: [] });
        sink.data(Buffer.from("part"), () => {});
        sink.finish({ ...FAILED, code: "function_response" });
      }),
    );
    assert.equal((await failed.call("/t/app/hook", { method: "HEAD" })).status, 502);
  });

  it("runs the operator's middleware, which knows the trigger, and keeps its CORS on success", async () => {
    const seen: unknown[] = [];
    const watch = createMiddleware<GatewayEnv>(async (c, next) => {
      seen.push(c.get("trigger"));
      await next();
    });
    const overriders = [
      cors({ origin: "https://shop.example" }),
      watch,
      overrideCall((call) => ({ ...call, memoryMiB: 256 })),
    ];
    const { call, offered, invoke } = triggered(
      answersWith([["Fn-Http-H-Access-Control-Allow-Origin", "https://evil.example"]]),
      { overriders },
    );

    const response = await call("/t/app/hook", { headers: { origin: "https://shop.example" } });
    await invoke();

    assert.equal(response.headers.get("access-control-allow-origin"), "https://shop.example");
    assert.equal(offered().call.memoryMiB, 256);
    assert.deepEqual(seen, [
      { id: "id of /hook", name: "/hook", type: "http", source: "/hook", params: {} },
      undefined,
    ]);
  });

  it("serves an app's triggers, and nothing else, on a host that is the app's own", async () => {
    const hosts = new Map([["shop.example", "app"]]);
    const { call, offered } = triggered(answers("hello"), { hosts });

    assert.equal((await call("http://Shop.example:8080/orders/new%20thing?x=1")).status, 200);
    assert.equal((await call("http://shop.example/")).status, 200);
    assert.equal(offered().call.url, "http://shop.example:8080/orders/new%20thing?x=1");
    for (const path of ["/invoke/hello", "/t/app/hook", "/livez", "/v2/apps"]) {
      const response = await call(`http://shop.example${path}`);
      assert.equal((await errorBody(response)).code, "trigger_not_found", path);
    }
    assert.equal((await call("http://other.example/livez")).status, 200);
    assert.equal((await call("http://other.example/hook")).status, 404);
  });

  it("lets a function speak of CORS where the gateway does not", async () => {
    const { call } = triggered(answersWith([["Fn-Http-H-Access-Control-Allow-Origin", "https://shop.example"]]));

    const response = await call("/t/app/hook");

    assert.equal(response.headers.get("access-control-allow-origin"), "https://shop.example");
  });
});

describe("a trigger's settings", () => {
  it("give the function what a path's parameters stand for", async () => {
    const trigger = triggerFor("/users", { "kiln/path": "/users/:id/:file-name?" });
    const { call, offered } = triggered(answers(""), {}, [trigger]);

    await call("/t/app/users/a%2Fb%20%C3%BC/c.txt");

    const params = offered().call.headers.filter(([name]) => name.startsWith("Fn-Http-Param-"));
    assert.deepEqual(params, [
      ["Fn-Http-Param-Id", "a%2Fb%20%C3%BC"],
      ["Fn-Http-Param-File-Name", "c.txt"],
    ]);
  });

  it("let it take some methods only", async () => {
    const { call, runner } = triggered(answers(""), {}, [triggerFor("/hook", { "kiln/methods": ["GET"] })]);

    const refused = await call("/t/app/hook", { method: "POST" });

    assert.equal(refused.status, 405);
    assert.equal(refused.headers.get("allow"), "GET, HEAD");
    assert.match((await errorBody(refused)).message, /the trigger takes GET, HEAD, and not POST/);
    assert.equal(runner.offered.length, 0);
    assert.equal((await call("/t/app/hook")).status, 200);
    assert.equal((await call("/t/app/hook", { method: "HEAD" })).status, 200);
  });

  it("tell other sites that they may call it: when asked, on success and on errors, before any overrider", async () => {
    const settings = { origins: ["https://shop.example"], headers: ["X-Key"], credentials: true, max_age: 60 };
    const guarded = createMiddleware<GatewayEnv>((c, next) =>
      c.req.header("x-key") === "k" ? next() : Promise.resolve(c.text("no", 401)),
    );
    const { call, runner } = triggered(
      answersWith([["Fn-Http-H-Access-Control-Allow-Origin", "*"]]),
      { overriders: [guarded] },
      [triggerFor("/hook", { "kiln/cors": settings, "kiln/methods": "GET POST" })],
    );
    const origin = "https://shop.example";

    const asked = await call("/t/app/hook", {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "x-key" },
    });
    const told = await call("/t/app/hook", { headers: { origin, "x-key": "k" } });
    const failed = await call("/t/app/hook", { headers: { origin } });
    const foreign = await call("/t/app/hook", { headers: { origin: "https://evil.example", "x-key": "k" } });

    assert.equal(asked.status, 204);
    assert.equal(asked.headers.get("access-control-allow-origin"), origin);
    assert.equal(asked.headers.get("access-control-allow-headers"), "X-Key");
    assert.equal(asked.headers.get("access-control-allow-methods"), "GET,POST");
    assert.equal(asked.headers.get("access-control-max-age"), "60");
    assert.equal(told.status, 200);
    assert.equal(told.headers.get("access-control-allow-origin"), origin);
    assert.equal(told.headers.get("access-control-allow-credentials"), "true");
    assert.equal(failed.status, 401);
    assert.equal(failed.headers.get("access-control-allow-origin"), origin);
    assert.equal(foreign.headers.get("access-control-allow-origin"), null);
    assert.equal(runner.offered.length, 2);
  });

  it("make its calls detached, always or as the client asks", async () => {
    for (const [setting, asked, status] of [
      ["detached", undefined, 202],
      ["client", "detached", 202],
      ["client", undefined, 200],
      ["sync", "detached", 200],
    ] as const) {
      const { call, offered } = triggered(answers("hello"), {}, [triggerFor("/hook", { "kiln/invoke-type": setting })]);

      const response = await call("/t/app/hook", { headers: asked === undefined ? {} : { "fn-invoke-type": asked } });

      assert.equal(response.status, status, `${setting}, ${asked}`);
      assert.equal(offered().call.type, status === 202 ? "detached" : "sync");
    }
  });
});
