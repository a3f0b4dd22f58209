import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { connect, type Socket } from "node:net";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { createMiddleware } from "hono/factory";

import { NO_TIMINGS } from "../../core/session/frames.ts";
import { listen, type Listener, type ListenOptions } from "../../gateway/listen.ts";
import type { GatewayEnv } from "../../gateway/overrider.ts";
import { answers, echoes, runs, someTurns, type Behaviour } from "../../kiln/testing/fake-runner.ts";
import { gatewayFor, type GatewayForOptions } from "../../kiln/testing/gateway-for.ts";

const middleware = createMiddleware<GatewayEnv>;

async function served(behaviour: Behaviour, options: GatewayForOptions = {}, listening: Partial<ListenOptions> = {}) {
  const gateway = gatewayFor(behaviour, options);
  const listener = await listen(gateway.app, { host: "127.0.0.1", port: 0, drainTimeoutMs: 1_000, ...listening });
  return { ...gateway, listener, [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose]() };
}

/** Sends bytes as they are, and tells what came back and how the connection ended. */
async function exchange(
  listener: Listener,
  text: string,
  { waitMs = 2_000, until }: { readonly waitMs?: number; readonly until?: RegExp } = {},
) {
  const socket = connect(listener.port, "127.0.0.1");
  let got = "";
  let ending = "";
  const seen = Promise.withResolvers<void>();
  socket.on("data", (bytes: Buffer) => {
    got += bytes.toString("latin1");
    if (until?.test(got)) seen.resolve();
  });
  socket.on("end", () => (ending ||= "end"));
  socket.on("error", (error: NodeJS.ErrnoException) => (ending ||= error.code ?? "error"));
  const closed = new Promise<void>((resolve) => socket.on("close", () => resolve()));
  socket.write(text);
  await Promise.race([closed, seen.promise, sleep(waitMs, undefined, { ref: false })]);
  socket.destroy();
  return { got, ending: ending || "open" };
}

const POST = "POST /invoke/hello HTTP/1.1\r\nHost: gateway\r\n";

describe("listen", () => {
  it("serves the app on the address that it says", async () => {
    await using gateway = await served(
      answers("hello", {
        headers: [
          ["Content-Type", "text/plain"],
          ["Set-Cookie", "a=1"],
          ["Set-Cookie", "b=2"],
        ],
      }),
    );

    const response = await fetch(`http://${gateway.listener.address}/invoke/hello?a=b`, {
      method: "POST",
      body: "world",
    });

    assert.equal(response.status, 200);
    assert.equal(await response.text(), "hello");
    assert.deepEqual(response.headers.getSetCookie(), ["a=1", "b=2"]);
    const [offered] = gateway.runner.offered;
    assert.ok(offered !== undefined);
    assert.equal(offered.call.url, `http://${gateway.listener.address}/invoke/hello?a=b`);
    assert.equal(response.headers.get("fn-call-id"), offered.call.id);
    const body = offered.body();
    assert.ok("whole" in body && Buffer.from(body.whole).toString() === "world");
  });

  it("gives the function headers in the client's order and spelling", async () => {
    await using gateway = await served(answers(""));

    await exchange(
      gateway.listener,
      `${POST}X-B: 1\r\nx-a: 2\r\nX-B: 3\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
    );

    assert.deepEqual(gateway.runner.offered[0]?.call.headers, [
      ["X-B", "1"],
      ["x-a", "2"],
      ["X-B", "3"],
    ]);
  });

  for (const [what, size, chunked] of [
    ["a small body", 1_000, false],
    ["a large body", 3_000_000, false],
    ["a small chunked body", 1_000, true],
    ["a large chunked body", 3_000_000, true],
  ] as const) {
    it(`carries ${what} both ways`, async () => {
      await using gateway = await served(echoes);
      const sent = Buffer.alloc(size, "0123456789");

      const got = await post(gateway.listener, sent, chunked);

      assert.equal(got.body.length, size);
      assert.ok(got.body.equals(sent));
    });
  }

  it("gives middleware the body and the function its exact bytes, on a socket too", async () => {
    const readers = ["json", "text", "arrayBuffer", "blob"] as const;
    for (const reader of readers) {
      for (const chunked of [false, true]) {
        await using gateway = await served(echoes, {
          overriders: [middleware(async (c, next) => (await c.req[reader](), await next()))],
        });
        const sent = Buffer.from('{"a" : 1.0}');

        const { status, body } = await post(gateway.listener, sent, chunked);

        assert.deepEqual([status, body.toString()], [200, sent.toString()]);
      }
    }
  });

  it("tells of a raw body that middleware took", async () => {
    for (const take of [
      (raw: Request) => raw.text(),
      (raw: Request) => raw.body?.getReader().read() ?? Promise.resolve(),
    ]) {
      for (const chunked of [false, true]) {
        await using gateway = await served(echoes, {
          overriders: [middleware(async (c, next) => (await take(c.req.raw), await next()))],
        });

        const { status, body } = await post(gateway.listener, Buffer.from("gone"), chunked);

        assert.deepEqual([status, JSON.parse(body.toString()).code], [500, "body_consumed"]);
      }
    }
  });

  it("resets the connection when a call fails after its first byte, whatever the client speaks", async () => {
    const failing = runs(async (sink) => {
      sink.head({ status: 200, headers: [["Content-Type", "text/plain"]] });
      sink.data(Buffer.from("half"), () => {});
      await sleep(50);
      sink.finish({
        ok: false,
        timings: NO_TIMINGS,
        code: "runner_lost",
        message: "gone",
        status: undefined,
        stderrTail: "",
      });
    });
    await using gateway = await served(failing);

    const chunked = await exchange(gateway.listener, `${POST}Content-Length: 0\r\n\r\n`);
    const untilClose = await exchange(gateway.listener, "POST /invoke/hello HTTP/1.0\r\nContent-Length: 0\r\n\r\n");

    for (const { got, ending } of [chunked, untilClose]) {
      assert.match(got, /half/);
      assert.doesNotMatch(got, /\r\n0\r\n\r\n$|Error/);
      assert.equal(ending, "ECONNRESET");
    }
  });

  it("resets it however fast the failure follows a byte that filled the socket", async () => {
    const failing = runs(async (sink) => {
      sink.head({ status: 200, headers: [] });
      sink.data(Buffer.alloc(64 * 1_024), () => {});
      await someTurns(3);
      for (let i = 0; i < 20; i++) sink.data(Buffer.alloc(64 * 1_024), () => {});
      sink.finish({
        ok: false,
        timings: NO_TIMINGS,
        code: "runner_lost",
        message: "gone",
        status: undefined,
        stderrTail: "",
      });
    });
    await using gateway = await served(failing);

    for (let i = 0; i < 10; i++) {
      const { got, ending } = await exchange(gateway.listener, `${POST}Content-Length: 0\r\n\r\n`);
      assert.equal(ending, "ECONNRESET");
      assert.doesNotMatch(got.slice(-100), /Error|\r\n0\r\n\r\n$/);
    }
  });

  it("tells a call within a second that its client has left: while it waits, and while it streams", async () => {
    const streaming = runs((sink) => {
      sink.head({ status: 200, headers: [] });
      sink.data(Buffer.from("first"), () => {});
    });
    for (const behaviour of [runs(() => {}), streaming]) {
      await using gateway = await served(behaviour);
      const client = connect(gateway.listener.port, "127.0.0.1");
      client.on("error", () => {});
      client.write(`${POST}Content-Length: 4\r\n\r\nbody`);
      const signal = await offeredSignal(gateway.runner.signals);
      await sleep(50);
      assert.equal(signal.aborted, false);

      client.destroy();
      await Promise.race([once(signal, "abort"), sleep(1_000, undefined, { ref: false })]);

      assert.equal(signal.aborted, true);
      assert.equal(signal.reason.code, "client_cancel");
    }
  });

  it("keeps no more of an answer than the client takes", async () => {
    let unconsumed = 0;
    let sent = 0;
    let most = 0;
    const chunk = Buffer.alloc(64 * 1_024);
    // A window of 256 KiB, as a session has.
    const windowed = runs((sink) => {
      sink.head({ status: 200, headers: [] });
      const fill = () => {
        while (unconsumed + chunk.length <= 256 * 1_024 && sent < 64 * 1_024 * 1_024) {
          unconsumed += chunk.length;
          sent += chunk.length;
          most = Math.max(most, unconsumed);
          sink.data(chunk, (bytes) => {
            unconsumed -= bytes;
            setImmediate(fill);
          });
        }
      };
      fill();
    });
    await using gateway = await served(windowed);

    const client = connect(gateway.listener.port, "127.0.0.1");
    client.on("error", () => {});
    client.write(`${POST}Content-Length: 0\r\n\r\n`);
    await once(client, "readable");
    await sleep(300);
    const stalledAt = sent;
    await sleep(300);

    assert.equal(sent, stalledAt, "a client that does not read stops the runner");
    assert.ok(sent < 32 * 1_024 * 1_024, `${sent} bytes went out to nobody`);
    assert.ok(most <= 256 * 1_024);
    client.destroy();
  });

  it("reads no more of a request than the runner takes", async () => {
    await using gateway = await served(runs(() => {}));
    const client = connect(gateway.listener.port, "127.0.0.1");
    client.on("error", () => {});
    const size = 64 * 1_024 * 1_024;
    client.write(`${POST}Content-Length: ${size}\r\n\r\n`);

    const stalledAt = await fill(client, size);

    assert.ok(stalledAt < 16 * 1_024 * 1_024, `${stalledAt} bytes were read for nobody`);
    client.destroy();
  });

  it("keeps the connection for the next request", async () => {
    await using gateway = await served(answers("hi"));

    const both = `${POST}Content-Length: 2\r\n\r\nab${POST}Content-Length: 0\r\nConnection: close\r\n\r\n`;
    const { got, ending } = await exchange(gateway.listener, both);

    assert.equal(got.match(/HTTP\/1\.1 200 OK/g)?.length, 2);
    assert.equal(ending, "end");
  });

  it("tells the client that a connection ends with an answer that came before the whole request", async () => {
    await using gateway = await served(answers("early"));

    const { got } = await exchange(gateway.listener, `${POST}Content-Length: 1000000\r\n\r\n${"x".repeat(70_000)}`);

    assert.match(got, /^HTTP\/1.1 200 /);
    assert.match(got, /\r\nconnection: close\r\n/i);
    assert.match(got, /early$/);
  });

  it("spares a connection whose call was given up for middleware's own answer", async () => {
    const endless = runs((sink) => {
      sink.head({ status: 200, headers: [] });
      sink.data(Buffer.from("unwanted"), () => {});
    });
    await using gateway = await served(endless, {
      overriders: [
        middleware(async (c, next) => {
          await next();
          c.res = undefined;
          c.res = c.text("instead");
        }),
      ],
    });

    const both = `${POST}Content-Length: 0\r\n\r\n${POST}Content-Length: 0\r\nConnection: close\r\n\r\n`;
    const { got, ending } = await exchange(gateway.listener, both);

    assert.equal(got.match(/instead/g)?.length, 2);
    assert.equal(ending, "end");
    await someTurns();
    assert.deepEqual(
      gateway.runner.signals.map(({ aborted }) => aborted),
      [true, true],
    );
  });

  it("answers with the error alone where middleware fails after a streamed answer was begun", async () => {
    const endless = runs((sink) => {
      sink.head({ status: 200, headers: [["X-Function", "1"]] });
      sink.data(Buffer.from("unwanted"), () => {});
    });
    const late = middleware(async (_c, next) => (await next(), Promise.reject(new Error("late"))));
    await using gateway = await served(endless, { overriders: [late] });

    const both = `${POST}Content-Length: 0\r\n\r\n${POST}Content-Length: 0\r\nConnection: close\r\n\r\n`;
    const { got, ending } = await exchange(gateway.listener, both);

    assert.equal(got.match(/HTTP\/1\.1 500 [^]*?Internal server error/g)?.length, 2);
    assert.doesNotMatch(got, /unwanted|x-function/i);
    assert.equal(ending, "end");
    assert.deepEqual(
      gateway.runner.signals.map(({ aborted }) => aborted),
      [true, true],
    );
  });

  it("answers what is no proper request as it answers every error", async () => {
    await using gateway = await served(answers("hi"), {}, { limits: { maxHeaderBytes: 4_096 } });

    for (const [text, status, message] of [
      ["garbage\r\n\r\n", 400, /not HTTP/],
      ["GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, /Request is malformed/],
      [`GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${"x".repeat(8_192)}\r\n\r\n`, 431, /headers are over 4096 bytes/],
    ] as const) {
      const { got } = await exchange(gateway.listener, text, { waitMs: 300 });

      assert.match(got, new RegExp(`^HTTP/1.1 ${status} `));
      assert.match(got, /content-type: application\/json; charset=utf-8/i);
      const body = JSON.parse(got.slice(got.indexOf("{"), got.lastIndexOf("}") + 1));
      assert.match(body.message, message);
      assert.match(got, new RegExp(`fn-call-id: ${body.callId}`, "i"));
    }
  });

  it("refuses an upgrade, and goes on in HTTP/1.1 where HTTP/2 was only offered", async () => {
    await using gateway = await served(answers("hi"));
    const asking = (protocol: string) =>
      exchange(
        gateway.listener,
        `${POST}Content-Length: 0\r\nConnection: Upgrade, close\r\nUpgrade: ${protocol}\r\n\r\n`,
        { waitMs: 500 },
      );

    assert.match((await asking("websocket")).got, /^HTTP\/1\.1 501 [^]*upgrade_unsupported/);
    assert.match((await asking("h2c")).got, /^HTTP\/1\.1 200 [^]*hi/);
  });

  it("says which address is taken, and what to set", async () => {
    await using gateway = await served(answers("hi"));
    const { port } = gateway.listener;

    await assert.rejects(listen(gateway.app, { host: "127.0.0.1", port }), {
      message: `Cannot listen on 127.0.0.1:${port}: the port is in use, set FN_PORT to another`,
    });
  });

  it("lets requests end when it is disposed, and takes no more", async () => {
    const slow = runs(async (sink) => {
      await sleep(200);
      sink.head({ status: 200, headers: [] });
      sink.data(Buffer.from("late"), () => {});
      sink.finish({ ok: true, timings: NO_TIMINGS });
    });
    const gateway = await served(slow);
    const url = `http://${gateway.listener.address}/invoke/hello`;
    const answer = fetch(url, { method: "POST" }).then((response) => response.text());
    await offeredSignal(gateway.runner.signals);

    const startedAt = performance.now();
    await gateway.listener[Symbol.asyncDispose]();

    assert.equal(await answer, "late");
    assert.ok(performance.now() - startedAt < 900, "a connection that is kept alive was waited for");
    await assert.rejects(fetch(url, { method: "POST" }));
  });

  it("cuts what does not end in time", async () => {
    const gateway = await served(
      runs(() => {}),
      {},
      { drainTimeoutMs: 100 },
    );
    const answer = exchange(gateway.listener, `${POST}Content-Length: 0\r\n\r\n`);
    const signal = await offeredSignal(gateway.runner.signals);

    await gateway.listener[Symbol.asyncDispose]();

    assert.equal((await answer).got, "");
    await someTurns();
    assert.equal(signal.aborted, true);
  });

  it("cuts it at once when it is hurried", async () => {
    const gateway = await served(
      runs(() => {}),
      {},
      { drainTimeoutMs: 60_000 },
    );
    const answer = exchange(gateway.listener, `${POST}Content-Length: 0\r\n\r\n`, { waitMs: 10_000 });
    await offeredSignal(gateway.runner.signals);

    const drained = gateway.listener[Symbol.asyncDispose]();
    gateway.listener.hurry();
    await drained;

    assert.notEqual((await answer).ending, "open");
  });

  it("counts a client that leaves with its last promised byte as served, whatever the runner still has to say", async () => {
    const finished = Promise.withResolvers<void>();
    const promised = runs(async (sink, _call, signal) => {
      sink.head({ status: 200, headers: [["Content-Length", "4"]] });
      sink.data(Buffer.from("all."), () => {});
      await sleep(300);
      assert.equal(signal.aborted, false, "the call was not cancelled");
      sink.finish({ ok: true, timings: NO_TIMINGS });
      finished.resolve();
    });
    await using gateway = await served(promised);

    const { got } = await exchange(gateway.listener, `${POST}Content-Length: 0\r\n\r\n`, { until: /all\.$/ });
    assert.match(got, /all\.$/);
    await finished.promise;

    assert.match(gateway.metrics.render(), /fn_completed 1/);
    assert.doesNotMatch(gateway.metrics.render(), /fn_canceled 1/);
  });
});

async function offeredSignal(signals: readonly AbortSignal[]): Promise<AbortSignal> {
  for (let i = 0; i < 200; i++) {
    const [signal] = signals;
    if (signal !== undefined) return signal;
    await sleep(10);
  }
  throw new Error("no call was offered");
}

function post(
  listener: Listener,
  body: Buffer,
  chunked: boolean,
): Promise<{ status: number | undefined; body: Buffer }> {
  return new Promise((resolve, reject) => {
    const headers = chunked ? { "Transfer-Encoding": "chunked" } : { "Content-Length": body.length };
    const options = {
      host: "127.0.0.1",
      port: listener.port,
      path: "/invoke/hello",
      method: "POST",
      agent: false,
      headers,
    };
    const client = request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => resolve({ status: response.statusCode, body: Buffer.concat(chunks) }));
      response.on("error", reject);
    });
    client.on("error", reject);
    client.end(body);
  });
}

/** Writes until the other side takes no more for a while; resolves with what it took. */
async function fill(socket: Socket, size: number): Promise<number> {
  const chunk = Buffer.alloc(64 * 1_024);
  for (let written = 0; written < size; written += chunk.length) {
    if (socket.write(chunk)) continue;
    const drained = await Promise.race([once(socket, "drain").then(() => true), sleep(500, false)]);
    if (!drained) return written;
  }
  return size;
}
