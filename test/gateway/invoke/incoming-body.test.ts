import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, it } from "node:test";

import { createMiddleware } from "hono/factory";

import { systemClock, type Clock } from "../../../core/clock.ts";
import { NO_TIMINGS } from "../../../core/session/frames.ts";
import type { InvokeLimits } from "../../../gateway/invoke/limits.ts";
import { listen } from "../../../gateway/listen.ts";
import type { GatewayEnv } from "../../../gateway/overrider.ts";
import { errorBody } from "../../../kiln/testing/error-body.ts";
import { answers, echoes, readBody, runs, someTurns, type Behaviour } from "../../../kiln/testing/fake-runner.ts";
import { gatewayFor } from "../../../kiln/testing/gateway-for.ts";
import { VirtualClock } from "../../../kiln/testing/virtual-clock.ts";

const KIB = 1_024;

/** A request body that a test writes piece by piece. */
function written() {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  const stream = new ReadableStream<Uint8Array>({ start: (own) => void (controller = own) });
  return {
    init: { body: stream, duplex: "half" } satisfies RequestInit,
    write: (bytes: number) => controller?.enqueue(Buffer.alloc(bytes, "x")),
    end: () => controller?.close(),
    fail: () => controller?.error(new Error("connection lost")),
  };
}

function post(behaviour: Behaviour, limits: Partial<InvokeLimits> = {}) {
  return gatewayFor(behaviour, { limits });
}

/** Answers with how many bytes came, after the last of them. */
const readsAll = runs(async (sink, call) => {
  const { length } = await readBody(call);
  sink.head({ status: 200, headers: [] });
  sink.data(Buffer.from(String(length)), () => {});
  sink.finish({ ok: true, timings: NO_TIMINGS });
});

describe("a request body", () => {
  it("is whole where it came at once", async () => {
    const { invoke, runner } = post(answers(""));

    await invoke({ body: "x".repeat(100) });
    await invoke();
    await invoke({ body: "x".repeat(100), headers: { "Content-Length": "100" } });

    for (const [i, size] of [100, 0, 100].entries()) {
      const body = runner.offered[i]?.body();
      assert.ok(body !== undefined && "whole" in body);
      assert.equal(body.whole.length, size);
    }
  });

  it("that came with its head is taken without a clock for the wait", { skip: "Deno" in globalThis }, async () => {
    const waits: number[] = [];
    const clock: Clock = {
      ...systemClock,
      after: (ms, ...rest) => (waits.push(ms), systemClock.after(ms, ...rest)),
    };
    const { app, runner } = gatewayFor(answers(""), { clock, limits: { bodyReadTimeoutMs: 4_321 } });
    await using listener = await listen(app, { host: "127.0.0.1", port: 0 });

    // As one piece: fetch may send a head alone.
    const socket = connect(listener.port, "127.0.0.1");
    socket.write("POST /invoke/hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\nworld");
    await once(socket.resume(), "close");

    const body = runner.offered[0]?.body();
    assert.ok(body !== undefined && "whole" in body);
    assert.equal(Buffer.from(body.whole).toString(), "world");
    assert.ok(!waits.includes(4_321));
  });

  it("is offered with its first bytes, at most 64 KiB, and read on as the runner asks", async () => {
    const body = written();
    const { invoke, runner } = post(echoes);

    body.write(10);
    const answer = invoke(body.init);
    await someTurns();
    const offered = runner.offered[0]?.body();
    assert.ok(offered !== undefined && "stream" in offered, "offered before its end came");
    assert.equal(offered.stream.first.length, 10);
    body.write(100 * KIB);
    body.end();

    assert.equal((await (await answer).arrayBuffer()).byteLength, 10 + 100 * KIB);
  });

  it("keeps what is over 64 KiB for the rest", async () => {
    const body = written();
    const { invoke, runner } = post(echoes);

    body.write(100 * KIB);
    body.write(1);
    body.end();
    const answer = await invoke(body.init);

    assert.equal((await answer.arrayBuffer()).byteLength, 100 * KIB + 1);
    const offered = runner.offered[0]?.body();
    assert.ok(offered !== undefined && "stream" in offered);
    assert.equal(offered.stream.first.length, 64 * KIB);
  });

  it("is read once beyond its first bytes", async () => {
    const body = written();
    const { invoke, runner } = post(echoes);

    body.write(65 * KIB);
    body.end();
    await (await invoke(body.init)).arrayBuffer();

    const offered = runner.offered[0]?.body();
    assert.ok(offered !== undefined && "stream" in offered);
    assert.throws(() => offered.stream.rest(), /twice/);
  });

  it("that went to a runner as a stream is not there for middleware afterwards", async () => {
    const reads: Promise<string>[] = [];
    const late = createMiddleware<GatewayEnv>(async (c, next) => {
      await next();
      reads.push(c.req.text());
      await reads[0]?.catch(() => {});
    });
    const { app, invoke } = gatewayFor(echoes, { overriders: [late] });
    await using listener = await listen(app, { host: "127.0.0.1", port: 0 });

    for (const send of [invoke, (init: RequestInit) => fetch(`http://${listener.address}/invoke/hello`, init)]) {
      reads.length = 0;
      const body = written();
      body.write(65 * KIB);
      body.end();
      assert.equal((await (await send({ ...body.init, method: "POST" })).arrayBuffer()).byteLength, 65 * KIB);
      const [read = Promise.resolve("not read")] = reads;
      await assert.rejects(read, { code: "body_consumed" });
    }
  });

  it("that went to a runner as a stream is used, and the web request says so", { timeout: 30_000 }, async () => {
    const reads: unknown[] = [];
    const late = createMiddleware<GatewayEnv>(async (c, next) => {
      await next();
      const { raw } = c.req;
      reads.push(raw.bodyUsed);
      for (const read of [async () => raw.clone().text(), async () => new Request(raw).text(), () => raw.text()])
        reads.push(await read().catch((reason: Error) => reason.name));
    });
    const { app } = gatewayFor(readsAll, { overriders: [late] });
    await using listener = await listen(app, { host: "127.0.0.1", port: 0 });

    const init = { method: "POST", body: Buffer.alloc(100 * KIB) };
    const response = await fetch(`http://${listener.address}/invoke/hello`, init);

    assert.equal(await response.text(), String(100 * KIB));
    assert.deepEqual(reads, [true, "TypeError", "TypeError", "TypeError"]);
  });

  for (const bytes of [5, 600_000]) {
    it(
      `of ${bytes} bytes that middleware cloned is whole for the function, and then in the copy`,
      { timeout: 30_000 },
      async () => {
        const copies: ArrayBuffer[] = [];
        const clones = createMiddleware<GatewayEnv>(async (c, next) => {
          const copy = c.req.raw.clone();
          await next();
          copies.push(await copy.arrayBuffer());
        });
        const { app } = gatewayFor(readsAll, { overriders: [clones], limits: { bodyReadTimeoutMs: 5_000 } });
        await using listener = await listen(app, { host: "127.0.0.1", port: 0 });

        const init = { method: "POST", body: Buffer.alloc(bytes, "x") };
        const response = await fetch(`http://${listener.address}/invoke/hello`, init);

        assert.equal(await response.text(), String(bytes));
        assert.deepEqual(
          copies.map(({ byteLength }) => byteLength),
          [bytes],
        );
      },
    );
  }

  it("that is declared too big is refused before anything, by both sizes", async () => {
    const { app } = post(answers(""), { maxRequestBytes: 50 });

    const response = await app.request("/invoke/unknown", {
      method: "POST",
      body: "x",
      headers: { "Content-Length": "100" },
    });

    assert.equal(response.status, 413);
    const { message, code } = await errorBody(response);
    assert.equal(message, "Request content too big: 100 bytes, the most is 50");
    assert.equal(code, "request_too_big");
  });

  it("that turns out too big before it is offered is refused", async () => {
    const { invoke, runner } = post(answers(""), { maxRequestBytes: 50 });

    const response = await invoke({ body: "x".repeat(51) });

    assert.equal(response.status, 413);
    assert.equal(runner.offered.length, 0);
  });

  it("that turns out too big on its way ends the call with 413, where nothing is committed", async () => {
    const body = written();
    const failures: unknown[] = [];
    const { invoke, runner } = post(
      runs(async (_sink, call) =>
        readBody(call).then(
          () => {},
          (error) => void failures.push(error.code),
        ),
      ),
      { maxRequestBytes: 80 * KIB },
    );

    body.write(70 * KIB);
    const answer = invoke(body.init);
    await someTurns();
    assert.equal(runner.offered.length, 1);
    body.write(20 * KIB);
    const response = await answer;

    assert.equal(response.status, 413);
    assert.match((await errorBody(response)).message, /the most is 81920/);
    assert.deepEqual(failures, ["request_too_big"]);
    assert.equal(runner.signals[0]?.aborted, true);
  });

  it("has no limit by default", async () => {
    const { invoke } = post(echoes);

    const response = await invoke({ body: Buffer.alloc(3 * KIB * KIB) });

    assert.equal((await response.arrayBuffer()).byteLength, 3 * KIB * KIB);
  });

  it("that breaks off ends the call", async () => {
    const body = written();
    const early = written();
    const { invoke } = post(
      runs((_sink, call) =>
        readBody(call).then(
          () => {},
          () => {},
        ),
      ),
    );

    early.fail();
    const refused = await invoke(early.init);
    body.write(1);
    const answer = invoke(body.init);
    await someTurns();
    body.fail();

    assert.equal((await errorBody(refused)).code, "request_body_unreadable");
    assert.equal(refused.status, 400);
    assert.equal((await errorBody(await answer)).code, "request_body_unreadable");
  });

  it("that does not come is waited for only so long", async () => {
    const clock = new VirtualClock();
    const body = written();
    const { invoke, runner } = gatewayFor(answers(""), { clock, limits: { bodyReadTimeoutMs: 1_000 } });

    const answer = invoke(body.init);
    await someTurns();
    clock.advance(1_000);
    const response = await answer;

    assert.equal(response.status, 408);
    assert.match((await errorBody(response)).message, /did not come within 1000 ms/);
    assert.equal(runner.offered.length, 0);
  });

  it("that is waited for when the call's time is over does not hide why it ended", async () => {
    const clock = new VirtualClock();
    const body = written();
    const limits = { bodyReadTimeoutMs: 600_000, placerTimeoutMs: 1_000, headroomMs: 0 };
    const { invoke, lines } = gatewayFor(answers(""), { clock, limits });

    const answer = invoke(body.init);
    await someTurns();
    clock.advance(60_000);
    const response = await answer;

    assert.equal(response.status, 503);
    assert.equal((await errorBody(response)).code, "server_busy");
    assert.ok(lines.some((line) => line.includes("server_busy")));
  });

  it("that is streamed may pause for as long as its bytes have earned, and is watched by one timer", async () => {
    const clock = new VirtualClock();
    const body = written();
    const limits = { bodyReadTimeoutMs: 1_000, minBodyBytesPerSecond: 100 };
    const reads = runs((_sink, call) =>
      readBody(call).then(
        () => {},
        () => {},
      ),
    );
    const { invoke } = gatewayFor(reads, { clock, limits });

    body.write(100);
    const answer = invoke(body.init);
    await someTurns();
    const { pending } = clock;
    for (let pause = 0; pause < 10; pause++) {
      clock.advance(1_900);
      body.write(200);
      await someTurns();
      assert.equal(clock.pending, pending, "however many chunks it came in");
    }
    // Of 22 s that its 2,100 bytes may take it has taken 19.
    clock.advance(2_999);
    await someTurns();
    assert.equal(clock.pending, pending, "it has not failed");
    clock.advance(1);
    const response = await answer;

    assert.equal(response.status, 408);
    assert.match((await errorBody(response)).message, /slower than 100 bytes per second/);
  });

  it("that is streamed may take its time where no least rate is set", async () => {
    const clock = new VirtualClock();
    const body = written();
    const { invoke } = gatewayFor(readsAll, { clock, limits: { bodyReadTimeoutMs: 1_000, minBodyBytesPerSecond: 0 } });

    body.write(100);
    const answer = invoke(body.init);
    await someTurns();
    clock.advance(5_000);
    body.write(100);
    body.end();

    assert.equal(await (await answer).text(), "200");
  });
});
