import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2, type ClientHttp2Session, type IncomingHttpHeaders } from "node:http2";
import { request } from "node:https";
import { connect as connectTcp } from "node:net";
import { before, describe, it } from "node:test";
import { connect as connectTls } from "node:tls";

import type { CallError } from "../../core/call-error.ts";
import { systemClock } from "../../core/clock.ts";
import { silentLog } from "../../core/log.ts";
import type { PkiData } from "../../core/pki.ts";
import { NO_TIMINGS } from "../../core/session/frames.ts";
import { listen, type ListenOptions } from "../../gateway/listen.ts";
import { watchServerCertificate } from "../../gateway/server-certificate.ts";
import { createAuthority, issue, type Authority } from "../../kiln/pki.ts";
import { eventually } from "../../kiln/testing/eventually.ts";
import { answers, echoes, readBody, runs, type Behaviour } from "../../kiln/testing/fake-runner.ts";
import { gatewayFor } from "../../kiln/testing/gateway-for.ts";
import { pkiFolder } from "../../kiln/testing/pki-folder.ts";

describe("a listener with a certificate", () => {
  let authority: Authority;
  let first: PkiData;
  let second: PkiData;
  before(async () => {
    authority = await createAuthority();
    first = await issue(authority, { name: "gateway-1", role: "runner" });
    second = await issue(authority, { name: "gateway-2", role: "runner" });
  });

  async function served(behaviour: Behaviour, options: Partial<ListenOptions> = {}) {
    const folder = await pkiFolder(first);
    const certificate = await watchServerCertificate(folder.files, { log: silentLog, clock: systemClock, pollMs: 20 });
    const gateway = gatewayFor(behaviour);
    const listener = await listen(gateway.app, {
      host: "127.0.0.1",
      port: 0,
      drainTimeoutMs: 500,
      certificate,
      ...options,
    });
    return {
      ...gateway,
      folder,
      listener,
      session: (): ClientHttp2Session => {
        const session = connectHttp2(`https://127.0.0.1:${listener.port}`, {
          ca: authority.cert,
          checkServerIdentity: () => undefined,
        });
        session.on("error", () => {});
        return session;
      },
      async [Symbol.asyncDispose]() {
        await listener[Symbol.asyncDispose]();
        await certificate[Symbol.asyncDispose]();
        await folder[Symbol.asyncDispose]();
      },
    };
  }

  interface Answer {
    readonly status: number;
    readonly headers: IncomingHttpHeaders;
    readonly body: Buffer;
    /** The code with which the stream ended; 0 for well. */
    readonly code: number;
  }

  async function post(session: ClientHttp2Session, body: Buffer): Promise<Answer> {
    const stream = session.request({ ":method": "POST", ":path": "/invoke/hello", "x-a": "1" });
    stream.on("error", () => {});
    let headers: IncomingHttpHeaders & { ":status"?: number | undefined } = {};
    stream.on("response", (got) => (headers = got));
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.end(body);
    await new Promise((resolve) => stream.on("close", resolve));
    return { status: headers[":status"] ?? 0, headers, body: Buffer.concat(chunks), code: stream.rstCode };
  }

  function overHttp1(port: number): Promise<{ status: number; body: string }> {
    return new Promise((resolve, reject) => {
      const options = { host: "127.0.0.1", port, path: "/invoke/hello", method: "POST", agent: false };
      const asked = request({ ...options, ca: authority.cert, checkServerIdentity: () => undefined }, (response) => {
        let body = "";
        response.on("data", (chunk: Buffer) => (body += chunk.toString()));
        response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
      });
      asked.on("error", reject);
      asked.end("over HTTP/1.1");
    });
  }

  it("serves HTTP/2, many calls on one connection", async () => {
    await using gateway = await served(echoes);
    const session = gateway.session();

    const got = await Promise.all(Array.from({ length: 20 }, (_, i) => post(session, Buffer.from(`call ${i}`))));

    assert.deepEqual(
      got.map(({ status, body, code }) => [status, body.toString(), code]),
      Array.from({ length: 20 }, (_, i) => [200, `call ${i}`, 0]),
    );
    assert.equal(gateway.runner.offered[0]?.call.url, `https://127.0.0.1:${gateway.listener.port}/invoke/hello`);
    assert.deepEqual(gateway.runner.offered[0]?.call.headers, [["x-a", "1"]]);
    session.close();
  });

  it("carries a large body both ways", async () => {
    await using gateway = await served(echoes);
    const session = gateway.session();
    const sent = Buffer.alloc(3_000_000, "0123456789");

    const { body } = await post(session, sent);

    assert.ok(body.equals(sent));
    session.close();
  });

  it("serves HTTP/1.1 to who speaks no other", async () => {
    await using gateway = await served(echoes);

    assert.deepEqual(await overHttp1(gateway.listener.port), { status: 200, body: "over HTTP/1.1" });
  });

  it("ends the stream of a call that fails after its first byte, and no other", async () => {
    const failing = runs((sink) => {
      sink.head({ status: 200, headers: [] });
      sink.data(Buffer.from("half"), () => {});
      setTimeout(
        () =>
          sink.finish({
            ok: false,
            timings: NO_TIMINGS,
            code: "runner_lost",
            message: "gone",
            status: undefined,
            stderrTail: "",
          }),
        50,
      );
    });
    await using gateway = await served(failing);
    const session = gateway.session();

    const [one, two] = await Promise.all([post(session, Buffer.alloc(0)), post(session, Buffer.alloc(0))]);

    for (const { status, code } of [one, two]) {
      assert.equal(status, 200);
      assert.notEqual(code, 0, "it must not look complete");
    }
    assert.equal(session.destroyed, false);
    session.close();
  });

  it("answers an error in JSON, and that there is no such path", async () => {
    await using gateway = await served(answers(""));
    const session = gateway.session();
    const stream = session.request({ ":path": "/nope" });
    let text = "";
    stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
    await once(stream, "close");

    assert.equal((JSON.parse(text) as { code: string }).code, "not_found");
    session.close();
  });

  it("tells a call that its client has left", async () => {
    await using gateway = await served(runs(() => {}));
    const session = gateway.session();
    const stream = session.request({ ":method": "POST", ":path": "/invoke/hello" });
    stream.on("error", () => {});
    stream.end();
    await eventually(() => assert.equal(gateway.runner.signals.length, 1));

    stream.close(8);

    await eventually(() => assert.equal(gateway.runner.signals[0]?.aborted, true));
    session.close();
  });

  it("does not take the part of a body that came for all of it when its stream is reset", async () => {
    const outcome = Promise.withResolvers<string>();
    const read = (size: Buffer) => outcome.resolve(`read ${size.length} bytes`);
    const failed = (reason: CallError) => outcome.resolve(reason.code);
    await using gateway = await served(runs((_sink, call) => readBody(call).then(read, failed)));
    const session = gateway.session();
    const stream = session.request({ ":method": "POST", ":path": "/invoke/hello" });
    stream.on("error", () => {});
    stream.write("half of it");
    await eventually(() => assert.equal(gateway.runner.signals.length, 1));

    // At once: `close` would end the body first.
    stream.destroy();

    assert.ok(["client_cancel", "request_body_unreadable"].includes(await outcome.promise), await outcome.promise);
    session.close();
  });

  it("shows a replaced certificate from the next connection on, and leaves the open one alone", async () => {
    await using gateway = await served(echoes);
    const open = gateway.session();
    assert.equal((await post(open, Buffer.from("a"))).status, 200);
    assert.equal(await shownName(gateway.listener.port, authority), "gateway-1");

    await gateway.folder.write(second);

    await eventually(async () => assert.equal(await shownName(gateway.listener.port, authority), "gateway-2"));
    assert.equal((await post(open, Buffer.from("b"))).body.toString(), "b");
    open.close();
  });

  it("lets calls of HTTP/2 end when it is disposed, and takes no more", async () => {
    const slow = runs((sink) => {
      setTimeout(() => {
        sink.head({ status: 200, headers: [] });
        sink.data(Buffer.from("late"), () => {});
        sink.finish({ ok: true, timings: NO_TIMINGS });
      }, 200);
    });
    const gateway = await served(slow, { drainTimeoutMs: 5_000 });
    const session = gateway.session();
    const answer = post(session, Buffer.alloc(0));
    await eventually(() => assert.equal(gateway.runner.offered.length, 1));

    const startedAt = performance.now();
    await gateway[Symbol.asyncDispose]();

    assert.equal((await answer).body.toString(), "late");
    assert.ok(performance.now() - startedAt < 4_000, "an idle session was waited for");
  });

  it("closes a connection that does not get through its handshake", async () => {
    await using gateway = await served(answers(""), { limits: { headersTimeoutMs: 200 } });

    assert.ok((await lifetime(gateway.listener.port, "")) < 5_000);
  });
});

describe("a slow client", () => {
  it("is told that its headers did not come in time, or that its connection was idle", async () => {
    const gateway = gatewayFor(answers("hi"));
    await using listener = await listen(gateway.app, {
      host: "127.0.0.1",
      port: 0,
      drainTimeoutMs: 0,
      limits: { headersTimeoutMs: 300, idleTimeoutMs: 300 },
    });

    assert.ok((await lifetime(listener.port, "POST /invoke/hello HTTP/1.1\r\nX-Slow: ")) < 5_000);
    assert.ok((await lifetime(listener.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")) < 5_000);
  });

  it("that sends its body byte by byte is given up, one that keeps the least rate is not", async () => {
    const collects = runs(async (sink, call) => {
      const body = await readBody(call).catch(() => undefined);
      if (body === undefined) return;
      sink.head({ status: 200, headers: [] });
      sink.data(body, () => {});
      sink.finish({ ok: true, timings: NO_TIMINGS });
    });
    const gateway = gatewayFor(collects, { limits: { bodyReadTimeoutMs: 300, minBodyBytesPerSecond: 1_000 } });
    await using listener = await listen(gateway.app, { host: "127.0.0.1", port: 0, drainTimeoutMs: 0 });
    const head = "POST /invoke/hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

    const dripped = await drip(listener.port, head, chunk("x"), 30);
    const steady = await drip(listener.port, head, chunk("x".repeat(500)), 30);

    assert.match(dripped, /^HTTP\/1\.1 408 [^]*Request body came slower than 1000 bytes per second/);
    assert.match(steady, /^HTTP\/1\.1 200 [^]*content-length: 15000/i);
  });

  it("beyond the most connections is turned away at once", async () => {
    const gateway = gatewayFor(answers("hi"));
    await using listener = await listen(gateway.app, {
      host: "127.0.0.1",
      port: 0,
      drainTimeoutMs: 0,
      limits: { maxConnections: 2 },
    });
    const held = [connectTcp(listener.port, "127.0.0.1"), connectTcp(listener.port, "127.0.0.1")];
    await Promise.all(held.map((socket) => once(socket, "connect")));

    assert.ok((await lifetime(listener.port, "")) < 1_000);
    for (const socket of held) socket.destroy();
  });
});

/** Sends a text and no more; resolves with the milliseconds until the server ended the connection. */
async function lifetime(port: number, text: string): Promise<number> {
  const startedAt = performance.now();
  const socket = connectTcp(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.resume();
  socket.write(text);
  await Promise.race([once(socket, "close"), once(socket, "end")]);
  socket.destroy();
  return performance.now() - startedAt;
}

/** Sends a piece every 50 ms, and what ends a body after the last one; resolves with the answer. */
async function drip(port: number, head: string, piece: string, pieces: number): Promise<string> {
  const socket = connectTcp(port, "127.0.0.1");
  let got = "";
  socket.on("data", (bytes: Buffer) => (got += bytes.toString("latin1")));
  socket.on("error", () => {});
  const ended = new Promise<void>((resolve) => socket.on("close", () => resolve()));
  socket.write(head);
  let sent = 0;
  const timer = setInterval(() => {
    if (sent++ < pieces) return void socket.write(piece);
    clearInterval(timer);
    socket.write("0\r\n\r\n");
    setTimeout(() => socket.end(), 300);
  }, 50);
  await ended;
  clearInterval(timer);
  return got;
}

async function shownName(port: number, authority: Authority): Promise<string> {
  const socket = connectTls({ host: "127.0.0.1", port, ca: authority.cert, checkServerIdentity: () => undefined });
  await once(socket, "secureConnect");
  const { CN } = socket.getPeerCertificate().subject;
  socket.destroy();
  return String(CN);
}
