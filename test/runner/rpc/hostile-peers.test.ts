import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import * as tls from "node:tls";

import { systemClock } from "../../../core/clock.ts";
import { createLog, silentLog } from "../../../core/log.ts";
import { mtlsRunnerFactory } from "../../../gateway/runnerpool/mtls-runner.ts";
import { createAuthority, issue } from "../../../kiln/pki.ts";
import { callFor } from "../../../kiln/testing/call-for.ts";
import { collectedCall } from "../../../kiln/testing/collected-call.ts";
import { eventually } from "../../../kiln/testing/eventually.ts";
import { processRunner, served, type ServedRunner } from "../../../kiln/testing/process-runner.ts";

const authority = await createAuthority();
const runnerPki = await issue(authority, { name: "kiln-runner", role: "runner" });
const gatewayPki = await issue(authority, { name: "kiln-gateway", role: "gateway" });

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const SETTINGS = frame(4, 0, 0, Buffer.alloc(0));
const ROUNDS = 20;

/** An HTTP/2 frame, as right or wrong as its parts. */
function frame(type: number, flags: number, stream: number, payload: Buffer, length = payload.length): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** The same bytes in every run. */
function garbage(seed: number, length: number): Buffer {
  let state = seed + 1;
  return Buffer.from(
    Array.from({ length }, () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return state >>> 24;
    }),
  );
}

/** Sends, and waits until the other side has ended the connection, or a moment. */
async function send(socket: Socket, ...bytes: readonly Buffer[]): Promise<void> {
  socket.on("error", () => {});
  socket.resume();
  for (const some of bytes) socket.write(some);
  await Promise.race([once(socket, "close").catch(() => {}), sleep(60)]);
  socket.destroy();
}

// The runner is in this process: whatever it does not handle ends the test.
describe("a runner's port", () => {
  let one: ServedRunner;
  let lines: string[] = [];
  let port = 0;
  before(async () => {
    const log = createLog({ write: (line) => void lines.push(line) });
    one = await served(await processRunner(), runnerPki, { log });
    port = one.server.port;
  });
  after(() => one[Symbol.asyncDispose]());

  const plain = () => connect(port, "127.0.0.1");
  const secure = async (options: tls.ConnectionOptions = {}) => {
    const socket = tls.connect({
      port,
      host: "127.0.0.1",
      servername: "kiln-runner",
      ALPNProtocols: ["h2"],
      ...gatewayPki,
      ...options,
    });
    socket.on("error", () => {});
    await Promise.race([once(socket, "secureConnect"), once(socket, "close")]).catch(() => {});
    return socket;
  };
  const stillServes = async () => {
    const factory = mtlsRunnerFactory({
      gatewayId: "test",
      version: "0",
      allowNoIsolation: true,
      dialTimeoutMs: 5_000,
      drainMs: 1_000,
      clock: systemClock,
      log: silentLog,
    });
    await using runner = factory(one.address, "kiln-runner", gatewayPki);
    const { runnerCall, answer } = collectedCall(callFor("hello"), '{"name":"you"}');
    assert.ok((await runner.tryCall(runnerCall, new AbortController().signal)).placed);
    assert.equal((await answer).heard.at(-1), "finish ok");
  };

  it("outlives bytes that are no TLS, and says so", async () => {
    lines = [];
    for (let round = 0; round < ROUNDS; round += 1) await send(plain(), garbage(round, 1 + round * 37));
    await send(plain(), Buffer.from("GET /invoke HTTP/1.1\r\nHost: runner\r\n\r\n"));
    await send(plain(), PREFACE, SETTINGS);

    await stillServes();
    await eventually(() => assert.match(lines.join(""), /Connection failed before it was secure.*http request/i));
  });

  it("outlives handshakes that are cut", async () => {
    const hello = await clientHello();
    for (let bytes = 1; bytes < hello.length; bytes += Math.ceil(hello.length / ROUNDS)) {
      const socket = plain();
      socket.on("error", () => {});
      socket.write(hello.subarray(0, bytes));
      await sleep(2);
      if (bytes % 2 === 0) socket.destroy();
      else socket.resetAndDestroy();
    }
    // Whole, and gone before the server's answer; then whole, and garbage for the certificate.
    await send(plain(), hello);
    await send(plain(), hello, garbage(7, 300));

    await stillServes();
  });

  it("outlives a peer that speaks no HTTP/2", async () => {
    const socket = await secure({ ALPNProtocols: ["http/1.1"] });
    await send(socket, Buffer.from("GET / HTTP/1.1\r\nHost: runner\r\n\r\n"));
    await send(await secure({ ALPNProtocols: [] }), Buffer.from("GET / HTTP/1.1\r\nHost: runner\r\n\r\n"));

    await stillServes();
  });

  const wrong: Readonly<Record<string, readonly Buffer[]>> = {
    "no preface": [garbage(1, 400)],
    "half a preface": [PREFACE.subarray(0, 10)],
    "garbage after the preface": [PREFACE, garbage(2, 400)],
    "a frame longer than allowed": [PREFACE, SETTINGS, frame(0, 0, 1, Buffer.alloc(10), 0xff_ff_ff)],
    "data on a stream that is not open": [PREFACE, SETTINGS, frame(0, 0, 5, Buffer.from("data"))],
    "headers that are no HPACK": [PREFACE, SETTINGS, frame(1, 4, 1, garbage(3, 100))],
    "headers on an even stream": [PREFACE, SETTINGS, frame(1, 5, 2, Buffer.from([0x82, 0x87, 0x84]))],
    "a window that overflows": [
      PREFACE,
      SETTINGS,
      frame(8, 0, 0, Buffer.from([0x7f, 0xff, 0xff, 0xff])),
      frame(8, 0, 0, Buffer.from([0x7f, 0xff, 0xff, 0xff])),
    ],
    "settings of a wrong size": [PREFACE, frame(4, 0, 0, Buffer.alloc(5))],
    "a ping on a stream": [PREFACE, SETTINGS, frame(6, 0, 1, Buffer.alloc(8))],
    "a reset of nothing": [PREFACE, SETTINGS, frame(3, 0, 9, Buffer.alloc(4))],
    "a goaway": [PREFACE, SETTINGS, frame(7, 0, 0, Buffer.from([0, 0, 0, 0, 0, 0, 0, 2]))],
    "a request that ends at once": [PREFACE, SETTINGS, frame(1, 5, 1, Buffer.from([0x83, 0x87, 0x84]))],
    "a frame that is cut": [PREFACE, SETTINGS, frame(1, 4, 1, Buffer.alloc(3), 200)],
  };
  for (const [what, bytes] of Object.entries(wrong)) {
    it(`outlives ${what}`, async () => {
      await send(await secure(), ...bytes);

      await stillServes();
    });
  }

  it("outlives HTTP/2 that is random frames", async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const frames = Array.from({ length: 8 }, (_, i) => {
        const [type = 0, flags = 0, stream = 0, length = 0] = garbage(round * 8 + i, 4);
        return frame(type % 11, flags, stream % 6, garbage(i, length));
      });
      await send(await secure(), PREFACE, SETTINGS, ...frames);
    }

    await stillServes();
  });

  /** What a client of ours sends first. */
  async function clientHello(): Promise<Buffer> {
    const listener = createServer();
    listener.listen(0, "127.0.0.1");
    await once(listener, "listening");
    const address = listener.address();
    assert.ok(typeof address === "object" && address !== null);
    const accepted = once(listener, "connection") as Promise<[Socket]>;
    const client = tls.connect({ port: address.port, host: "127.0.0.1", servername: "kiln-runner", ...gatewayPki });
    client.on("error", () => {});
    const [socket] = await accepted;
    const [hello] = (await once(socket, "data")) as [Buffer];
    client.destroy();
    socket.destroy();
    listener.close();
    return hello;
  }
});
