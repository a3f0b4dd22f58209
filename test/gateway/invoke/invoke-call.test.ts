import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { CallError } from "../../../core/call-error.ts";
import { NO_TIMINGS } from "../../../core/session/frames.ts";
import { errorBody } from "../../../kiln/testing/error-body.ts";
import { functionFor } from "../../../kiln/testing/fake-functions.ts";
import { answers, fails, readBody, refuses, runs, someTurns, type Script } from "../../../kiln/testing/fake-runner.ts";
import { gatewayFor } from "../../../kiln/testing/gateway-for.ts";
import { VirtualClock } from "../../../kiln/testing/virtual-clock.ts";

const never: Script = () => {};

describe("POST /invoke/:fnId", () => {
  it("answers what the function says, with the call's id", async () => {
    const { invoke, runner } = gatewayFor(
      answers("hello", {
        headers: [
          ["Content-Type", "text/plain"],
          ["content-length", "5"],
        ],
      }),
    );

    const response = await invoke({ body: "world" });

    assert.equal(response.status, 200);
    assert.equal(await response.text(), "hello");
    assert.equal(response.headers.get("content-length"), "5");
    assert.equal(response.headers.get("content-type"), "text/plain");
    const [offered] = runner.offered;
    assert.ok(offered !== undefined);
    assert.equal(response.headers.get("fn-call-id"), offered.call.id);
    assert.equal((await readBody(offered)).toString(), "world");
    assert.equal(offered.call.url, "http://localhost/invoke/hello");
  });

  it("answers an empty body twice over", async () => {
    const { invoke } = gatewayFor(answers(""));

    for (let i = 0; i < 2; i++) {
      const response = await invoke();
      assert.equal(response.status, 200);
      assert.equal(response.headers.get("content-length"), "0");
      assert.equal(await response.text(), "");
    }
  });

  it("makes no guess at the type of what has none", async () => {
    const response = await gatewayFor(answers("<script>")).invoke();

    assert.equal(response.headers.get("content-type"), "application/octet-stream");
  });

  it("answers 404 for a function that is not there", async () => {
    const { app } = gatewayFor(answers(""));

    const response = await app.request("/invoke/unknown", { method: "POST" });

    assert.equal(response.status, 404);
    assert.deepEqual(await errorBody(response), {
      message: "Fn not found",
      code: "fn_not_found",
      component: "client",
      retryable: false,
      callId: response.headers.get("fn-call-id"),
    });
  });

  it("refuses an upgrade before it looks for the function", async () => {
    const { app } = gatewayFor(answers(""));

    const headers = { Connection: "Upgrade", Upgrade: "websocket" };
    const response = await app.request("/invoke/unknown", { method: "POST", headers });

    assert.equal(response.status, 501);
    assert.equal((await errorBody(response)).code, "upgrade_unsupported");
  });
});

describe("an answer that is an error", () => {
  it("has code, component and the tail of stderr, and none of the function's headers", async () => {
    const { invoke } = gatewayFor(
      runs((sink) => {
        sink.head({
          status: 200,
          headers: [
            ["X-Function", "1"],
            ["Content-Length", "100"],
          ],
        });
        sink.data(Buffer.from("half"), () => {});
        const message = "Function exited with code 1";
        sink.finish({
          ok: false,
          timings: NO_TIMINGS,
          code: "function_failed",
          message,
          status: undefined,
          stderrTail: "panic: no",
        });
      }),
    );

    const response = await invoke();

    assert.equal(response.status, 502);
    assert.equal(response.headers.get("x-function"), null);
    assert.equal(response.headers.get("content-length"), null);
    const { callId: _, ...body } = await errorBody(response);
    assert.deepEqual(body, {
      message: "Function exited with code 1",
      code: "function_failed",
      component: "function",
      retryable: false,
      stderr: "panic: no",
    });
  });

  for (const [code, status, retryAfter] of [
    ["server_busy", 503, "15"],
    ["shutting_down", 503, "15"],
    ["runner_unreachable", 503, "15"],
    ["docker_unavailable", 503, "15"],
    ["runner_unsafe", 503, null],
    ["runner_lost", 502, null],
    ["call_timeout", 504, null],
    ["resource_too_big", 400, null],
    ["detach_unsupported", 501, null],
    ["image_pull_failed", 502, null],
  ] as const) {
    it(`is ${status} for ${code}, ${retryAfter === null ? "without" : "with"} Retry-After`, async () => {
      const response = await gatewayFor(fails(code)).invoke();

      assert.equal(response.status, status);
      assert.equal(response.headers.get("retry-after"), retryAfter);
      assert.equal((await errorBody(response)).code, code);
    });
  }

  it("has the status that the runner gave it", async () => {
    const response = await gatewayFor(fails("image_pull_failed", "pull access denied", { status: 404 })).invoke();

    assert.equal(response.status, 404);
    assert.equal((await errorBody(response)).message, "pull access denied");
  });

  it("is 503 where nobody takes the call, and the refusal where any runner would refuse", async () => {
    assert.equal((await gatewayFor(refuses("server_busy")).invoke()).status, 503);
    assert.equal((await gatewayFor(refuses("image_reserved", "any_runner")).invoke()).status, 400);
  });

  it("never shows the cause of what nobody foresaw, which is logged once, with the call's id", async () => {
    const placer = { place: () => Promise.reject(new Error("password is hunter2")) };
    const { invoke, lines } = gatewayFor(answers(""), { placer });

    const response = await invoke();

    assert.equal(response.status, 500);
    const { message, callId } = await errorBody(response);
    assert.equal(message, "Internal server error");
    const told = lines.filter((line) => line.includes("hunter2"));
    assert.equal(told.length, 1);
    assert.ok(told[0]?.includes(callId) && told[0].includes('"level":"error"'));
  });

  it("tells of a runner that ends without an answer, or answers out of order", async () => {
    const silent = gatewayFor(runs((sink) => sink.finish({ ok: true, timings: NO_TIMINGS })));
    const headless = gatewayFor(runs((sink) => sink.data(Buffer.from("x"), () => {})));
    const nonsense = gatewayFor(answers("x", { status: 99 }));
    const injected = gatewayFor(answers("x", { headers: [["X-A", "a\r\nX-B: b"]] }));

    assert.equal((await errorBody(await silent.invoke())).code, "runner_protocol");
    assert.equal((await errorBody(await headless.invoke())).code, "runner_protocol");
    assert.equal((await errorBody(await nonsense.invoke())).code, "function_invalid_response");
    assert.equal((await errorBody(await injected.invoke())).code, "function_invalid_response");
  });
});

describe("a client that leaves", () => {
  it("aborts the call, whose answer is 444 and empty", async () => {
    const client = new AbortController();
    const { invoke, runner, metrics } = gatewayFor(runs(never));

    const pending = invoke({ signal: client.signal });
    await someTurns();
    assert.equal(runner.signals[0]?.aborted, false);
    client.abort();
    const response = await pending;

    assert.equal(response.status, 444);
    assert.equal(await response.text(), "");
    assert.ok(response.headers.has("fn-call-id"));
    assert.equal(runner.signals[0]?.aborted, true);
    assert.equal(runner.signals[0]?.reason.code, "client_cancel");
    assert.match(metrics.render(), /^fn_canceled 1$/m);
    assert.match(metrics.render(), /^fn_running 0$/m);
  });

  it("is seen while the call still looks for a runner", async () => {
    const client = new AbortController();
    const placer = {
      place: (_call: unknown, _pool: unknown, signal: AbortSignal) =>
        new Promise<never>((_resolve, reject) =>
          signal.addEventListener("abort", () => reject(new Error("own words"))),
        ),
    };
    const { invoke } = gatewayFor(answers(""), { placer });

    const pending = invoke({ signal: client.signal });
    await someTurns();
    client.abort();

    assert.equal((await pending).status, 444);
  });

  it("leaves a detached call running", async () => {
    const client = new AbortController();
    const { invoke, runner } = gatewayFor(runs(never));

    const response = await invoke({ headers: { "Fn-Invoke-Type": "detached" }, signal: client.signal });
    client.abort();
    await someTurns();

    assert.equal(response.status, 202);
    assert.equal(runner.signals[0]?.aborted, false);
  });
});

describe("the deadline of a call", () => {
  const found = functionFor("hello", { timeoutMs: 5_000 });
  const limits = { placerTimeoutMs: 1_000, detachedPlacerTimeoutMs: 100, headroomMs: 20 };

  it("is placement, the function's timeout and the headroom, after the last overrider", async () => {
    const clock = new VirtualClock();
    clock.advance(7);
    const { invoke, runner } = gatewayFor(answers(""), { found, limits, clock });

    await invoke();
    await invoke({ headers: { "Fn-Invoke-Type": "detached" } });

    assert.deepEqual(
      runner.offered.map(({ deadline }) => deadline),
      [7 + 6_020, 7 + 5_120],
    );
    assert.equal(clock.pending, 0);
  });

  it("may be none", async () => {
    const { invoke, runner } = gatewayFor(answers(""), { limits: { headroomMs: Infinity } });

    await invoke();

    assert.equal(runner.offered[0]?.deadline, Infinity);
  });

  it("ends a placed call as timed out and one that waits as busy, with its settings and where the time went", async () => {
    const clock = new VirtualClock();
    const placed = gatewayFor(runs(never), { found, limits, clock });
    const waiting = gatewayFor(answers(""), {
      found,
      limits,
      clock,
      placer: {
        place: (_c, _p, signal) =>
          new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("x")))),
      },
    });

    const responses = [placed.invoke(), waiting.invoke()];
    await someTurns();
    clock.advance(6_019);
    assert.equal(placed.runner.signals[0]?.aborted, false);
    clock.advance(1);

    const [ofPlaced, ofWaiting] = await Promise.all(responses);
    assert.ok(ofPlaced !== undefined && ofWaiting !== undefined);
    const settings = "FN_PLACER_TIMEOUT_MSECS 1000 + the function's timeout 5000 + FN_EXECUTION_HEADROOM 20";
    const timedOut = await errorBody(ofPlaced);
    const busy = await errorBody(ofWaiting);
    assert.deepEqual([ofPlaced.status, timedOut.code], [504, "call_timeout"]);
    assert.equal(
      timedOut.message,
      `Timed out: the call's deadline of 6020 ms passed, ${settings} (0 ms in middleware, 0 ms looking for a runner, 6020 ms running)`,
    );
    assert.deepEqual([ofWaiting.status, busy.code], [503, "server_busy"]);
    assert.match(busy.message, /\(0 ms in middleware, 6020 ms looking for a runner\)$/);
    assert.equal(placed.runner.signals[0]?.aborted, true);
    assert.match(placed.metrics.render(), /^fn_timeouts 1$/m);
    assert.match(waiting.metrics.render(), /^fn_server_busy 1$/m);
  });
});

describe("a detached call", () => {
  const headers = { "Fn-Invoke-Type": "detached" };

  it("is answered 202 once it is placed, and what it says is dropped and counted", async () => {
    const credit: number[] = [];
    const { invoke, runner, lines, metrics } = gatewayFor(
      runs(async (sink) => {
        await someTurns();
        sink.head({ status: 200, headers: [["X-Function", "1"]] });
        sink.data(Buffer.from("unheard"), (bytes) => credit.push(bytes));
        sink.finish({ ok: true, timings: NO_TIMINGS });
      }),
    );

    const response = await invoke({ headers, body: "x".repeat(100_000) });

    assert.equal(response.status, 202);
    assert.equal(response.headers.get("content-length"), "0");
    assert.equal(response.headers.get("x-function"), null);
    assert.equal(response.headers.get("fn-call-id"), runner.offered[0]?.call.id);
    assert.equal(await response.text(), "");
    assert.ok("whole" in (runner.offered[0]?.body() ?? {}), "its body is held whole");
    assert.match(metrics.render(), /^fn_running 1$/m);
    await someTurns(30);
    assert.deepEqual(credit, [7]);
    assert.match(metrics.render(), /^fn_running 0$/m);
    assert.equal(lines.filter((line) => line.includes("Call finished") && line.includes('"status":202')).length, 1);
  });

  it("is answered with its error if it was never placed", async () => {
    const unplaced = gatewayFor((call) => {
      const message = "no such image";
      call.sink.finish({
        ok: false,
        timings: NO_TIMINGS,
        code: "image_unknown",
        message,
        status: undefined,
        stderrTail: "",
      });
      return { placed: true };
    });

    assert.equal((await errorBody(await unplaced.invoke({ headers }))).code, "image_unknown");
    assert.equal((await gatewayFor(refuses()).invoke({ headers })).status, 503);
  });

  it("that is still running at its deadline ends as Fn's reservation failure, which only the log hears", async () => {
    const clock = new VirtualClock();
    const limits = { detachedPlacerTimeoutMs: 100, headroomMs: 20 };
    const found = functionFor("hello", { timeoutMs: 5_000 });
    const { invoke, lines } = gatewayFor(runs(never), { clock, found, limits });
    assert.equal((await invoke({ headers })).status, 202);

    clock.advance(5_120);

    assert.match(lines.join("\n"), /"code":"reservation_failed".*FN_DETACHED_PLACER_TIMEOUT_MSECS 100/);
  });

  it("that fails after it was placed has had its 202", async () => {
    const { invoke, lines } = gatewayFor(fails("function_failed", "exit 1"));

    assert.equal((await invoke({ headers })).status, 202);

    assert.ok(lines.some((line) => line.includes("Call finished") && line.includes('"code":"function_failed"')));
  });

  it("is refused where its body is more than may be held", async () => {
    const { invoke } = gatewayFor(answers(""), { limits: { maxBufferedBytes: 10 } });

    const response = await invoke({ headers, body: "x".repeat(11) });

    assert.equal(response.status, 413);
    assert.equal((await errorBody(response)).code, "request_too_big");
  });
});

describe("what is counted and logged of a call", () => {
  it("is one line, and Fn's counters", async () => {
    const timings = { waitMs: 1, pullMs: 2, startMs: 3, initMs: 4, runMs: 5 };
    const { invoke, lines, metrics, runner } = gatewayFor(answers("x", { timings }));

    await invoke();

    assert.equal(lines.length, 1);
    const { time: _, total_ms, ...line } = JSON.parse(lines[0] ?? "");
    assert.equal(typeof total_ms, "number");
    assert.deepEqual(line, {
      level: "info",
      message: "Call finished",
      call_id: runner.offered[0]?.call.id,
      app_id: "app-1",
      fn_id: "hello",
      runner: "runner-1:9190",
      status: 200,
      attempts: 1,
      wait_ms: 1,
      pull_ms: 2,
      start_ms: 3,
      init_ms: 4,
      run_ms: 5,
    });
    const text = metrics.render();
    for (const count of [/^fn_calls 1$/m, /^fn_completed 1$/m, /^fn_queued 0$/m, /^fn_running 0$/m])
      assert.match(text, count);
    assert.match(text, /^fn_api_latency_count\{path="\/invoke\/:fn_id",method="POST",status="200",blame="user"\} 1$/m);
  });

  it("tells failures apart", async () => {
    for (const [code, counter, blame] of [
      ["function_failed", "fn_errors", "user"],
      ["call_timeout", "fn_timeouts", "user"],
      ["server_busy", "fn_server_busy", "service"],
      ["runner_lost", "fn_errors", "service"],
    ] as const) {
      const { invoke, metrics, lines } = gatewayFor(fails(code));

      const { status } = await invoke();

      const text = metrics.render();
      assert.match(text, new RegExp(`^${counter} 1$`, "m"));
      assert.match(text, new RegExp(`status="${status}",blame="${blame}"} 1$`, "m"));
      assert.equal(lines.length, 1);
      assert.match(lines[0] ?? "", new RegExp(`"code":"${code}","status":${status}`));
    }
  });

  it("counts no call that was refused before it", async () => {
    const { app, metrics, lines } = gatewayFor(answers(""));

    await app.request("/invoke/unknown", { method: "POST" });

    assert.doesNotMatch(metrics.render(), /^fn_calls [1-9]/m);
    assert.equal(lines.length, 1);
    assert.match(lines[0] ?? "", /"message":"Call refused".*"code":"fn_not_found","status":404/);
  });

  it("passes on the reason of a lookup that fails", async () => {
    const known = gatewayFor(answers(""), {
      functions: { find: () => Promise.reject(new CallError("request_limit_exceeded")) },
    });
    const unknown = gatewayFor(answers(""), {
      functions: { find: () => Promise.reject(new Error("database is down")) },
    });

    assert.equal((await errorBody(await known.invoke())).code, "request_limit_exceeded");
    assert.equal((await errorBody(await unknown.invoke())).message, "Internal server error");
    assert.ok(unknown.lines.some((line) => line.includes("database is down")));
  });
});
