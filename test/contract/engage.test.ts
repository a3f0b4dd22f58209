import assert from "node:assert/strict";
import { once } from "node:events";
import * as http2 from "node:http2";
import { after, before, describe, it } from "node:test";

import { create, toBinary } from "@bufbuild/protobuf";
import { WireType } from "@bufbuild/protobuf/wire";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  connectNodeAdapter,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";

import { systemClock } from "../../core/clock.ts";
import { EnvelopeError, EnvelopeReader } from "../../core/connect/envelopes.ts";
import { silentLog } from "../../core/log.ts";
import type { GatewayFrame, RunnerFrame } from "../../core/session/frames.ts";
import { engageStream } from "../../gateway/runnerpool/engage-stream.ts";
import { toRequest } from "../../gateway/runnerpool/wire.ts";
import { EngageRequestSchema, GatewayFrameSchema, RunnerService } from "../../gen/kiln/runner/v1/runner_pb.ts";
import { createAuthority, issue } from "../../kiln/pki.ts";
import { callFor } from "../../kiln/testing/call-for.ts";
import { EngageRequests } from "../../kiln/testing/engage-requests.ts";
import { eventually } from "../../kiln/testing/eventually.ts";
import { processRunner, served, type ServedRunner } from "../../kiln/testing/process-runner.ts";
import { runnerRoutes } from "../../runner/rpc/service.ts";

const authority = await createAuthority();
const runnerPki = await issue(authority, { name: "kiln-runner", role: "runner" });
const gatewayPki = await issue(authority, { name: "kiln-gateway", role: "gateway" });

interface Options {
  readonly httpVersion: "2";
  readonly baseUrl: string;
  readonly nodeOptions: http2.SecureClientSessionOptions;
}

// The first is answered by hand, all others by connect-node's handler.
const CLIENTS: Readonly<Record<string, (options: Options) => Transport>> = {
  Connect: (options) => createConnectTransport({ ...options, acceptCompression: [] }),
  "Connect that takes compressed answers": createConnectTransport,
  "Connect in JSON": (options) => createConnectTransport({ ...options, useBinaryFormat: false }),
  gRPC: createGrpcTransport,
  "gRPC-Web": createGrpcWebTransport,
};

const KEY = "a".repeat(64);
const HELLO = { type: "hello", gatewayId: "g", version: "0" } as const;

function sleeping(ms: number) {
  const call = callFor("probe", { headers: [["probe-control", JSON.stringify({ sleepTime: ms })]] });
  const offer = {
    call,
    remainingMs: 30_000,
    body: Buffer.alloc(0),
    end: true,
    responseCredit: 65_536,
    affinityKey: KEY,
  };
  return { type: "offer", call: 1, offer } as const;
}

function hello(name: string) {
  const call = callFor("hello");
  const body = Buffer.from(JSON.stringify({ name }));
  const offer = { call, remainingMs: 30_000, body, end: true, responseCredit: 65_536, affinityKey: KEY };
  return { type: "offer", call: 1, offer } as const;
}

describe("a runner's session", { timeout: 60_000 }, () => {
  let one: ServedRunner;
  before(async () => {
    one = await served(await processRunner(), runnerPki);
  });
  after(() => one[Symbol.asyncDispose]());

  for (const [name, transport] of Object.entries(CLIENTS)) {
    it(`is the same for an independent client: ${name}`, async () => {
      const options = { httpVersion: "2", baseUrl: `https://${one.address}`, nodeOptions: { ...gatewayPki } } as const;
      const client = createClient(RunnerService, transport(options));
      const requests = new EngageRequests();
      requests.push(HELLO, hello("you"));
      const seen: string[] = [];
      let body = "";

      for await (const { frames } of client.engage(requests)) {
        for (const { call, frame } of frames) {
          if (frame.case === "capacity") continue;
          seen.push(frame.case ?? "?");
          if (frame.case === "accepted" && seen.includes("pending")) requests.push({ type: "start", call });
          if (frame.case === "data") body += Buffer.from(frame.value.bytes).toString();
          if (frame.case === "finished") requests.end();
        }
      }

      assert.equal(seen[0], "hello");
      assert.deepEqual(seen.slice(-4), ["accepted", "head", "data", "finished"]);
      assert.deepEqual(JSON.parse(body), { message: "Hello, you" });
    });

    it(`ends with the reason when the protocol is broken: ${name}`, async () => {
      const options = { httpVersion: "2", baseUrl: `https://${one.address}`, nodeOptions: { ...gatewayPki } } as const;
      const client = createClient(RunnerService, transport(options));
      const requests = new EngageRequests();
      requests.push(HELLO, HELLO);

      const failure = await (async () => {
        for await (const _ of client.engage(requests));
      })().catch((error: unknown) => error);

      requests.end();
      assert.ok(failure instanceof ConnectError, String(failure));
      assert.equal(failure.code, Code.InvalidArgument);
      assert.match(failure.rawMessage, /Gateway sent "hello" twice/);
    });

    it(`tells a client that speaks a newer protocol so: ${name}`, async () => {
      const options = { httpVersion: "2", baseUrl: `https://${one.address}`, nodeOptions: { ...gatewayPki } } as const;
      const client = createClient(RunnerService, transport(options));
      // JSON has no place for what nobody knows: there, a frame is left that says nothing.
      const newer = create(GatewayFrameSchema, { call: 1 });
      newer.$unknown = [{ no: 60, wireType: WireType.LengthDelimited, data: Uint8Array.of(0) }];
      const requests = async function* () {
        yield toRequest([HELLO]);
        yield { frames: [newer] };
      };

      const failure = await (async () => {
        for await (const _ of client.engage(requests()));
      })().catch((error: unknown) => error);

      assert.ok(failure instanceof ConnectError, String(failure));
      assert.match(failure.rawMessage, /a frame this runner does not know: it speaks a newer protocol/);
    });

    it(`cancels what runs when the client has no more to say: ${name}`, async () => {
      const options = { httpVersion: "2", baseUrl: `https://${one.address}`, nodeOptions: { ...gatewayPki } } as const;
      const client = createClient(RunnerService, transport(options));
      const requests = new EngageRequests();
      requests.push(HELLO, sleeping(20_000));
      const seen: string[] = [];

      for await (const { frames } of client.engage(requests)) {
        for (const { call, frame } of frames) {
          seen.push(frame.case ?? "?");
          if (frame.case === "accepted" && seen.includes("pending")) requests.push({ type: "start", call });
          if (frame.case === "accepted") requests.end();
        }
      }

      assert.ok(seen.includes("accepted"), seen.join());
      assert.ok(!seen.includes("finished"), seen.join());
      await eventually(() => assert.equal(one.runner.status().active, 0));
    });
  }
});

describe("a gateway's session", { timeout: 30_000 }, () => {
  it("is what a Connect client sends, header by header and byte by byte", async () => {
    const asked: { headers: http2.IncomingHttpHeaders; body: Buffer }[] = [];
    const server = http2.createServer();
    server.on("stream", (stream, headers) => {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => {
        chunks.push(chunk);
        const body = Buffer.concat(chunks);
        if (body.length < 5 || body.length < 5 + body.readUInt32BE(1)) return;
        asked.push({ headers, body });
        stream.close(http2.constants.NGHTTP2_CANCEL);
      });
      stream.on("error", () => {});
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const url = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
    const frames = [HELLO, hello("you")];

    const connection = http2.connect(url);
    const over = Promise.withResolvers<unknown>();
    const left = [...frames];
    engageStream({
      connection,
      clock: systemClock,
      take: () => left.splice(0),
      receive() {},
      ended: over.resolve,
    }).wake();
    await over.promise;
    connection.close();
    const requests = new EngageRequests();
    requests.push(...frames);
    const sessionManager = new Http2SessionManager(url);
    const client = createClient(
      RunnerService,
      createConnectTransport({ httpVersion: "2", baseUrl: url, acceptCompression: [], sessionManager }),
    );
    await assert.rejects(async () => {
      for await (const _ of client.engage(requests));
    });
    requests.end();
    sessionManager.abort();
    server.close();

    const [ours, theirs] = asked.map(({ headers, body }) => {
      const { "user-agent": _, ...others } = headers;
      return { headers: { ...others }, body: body.toString("hex") };
    });
    assert.deepEqual(ours?.headers, theirs?.headers);
    assert.equal(ours?.body, theirs?.body);
    assert.equal(
      ours?.body.slice(10),
      Buffer.from(toBinary(EngageRequestSchema, create(EngageRequestSchema, toRequest(frames)))).toString("hex"),
    );
  });

  it("runs calls on a runner that only has connect-node's own handler", async () => {
    await using runner = await processRunner();
    const server = http2.createServer(connectNodeAdapter({ routes: runnerRoutes(runner, silentLog) }));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const connection = http2.connect(`http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`);
    const out: GatewayFrame[] = [HELLO, hello("you")];
    const heard: string[] = [];
    const finished = Promise.withResolvers<void>();
    const receive = (frames: readonly RunnerFrame[]) => {
      for (const frame of frames) {
        if (frame.type !== "capacity") heard.push(frame.type);
        if (frame.type === "accepted" && heard.includes("pending")) out.push({ type: "start", call: frame.call });
        if (frame.type === "finished") finished.resolve();
      }
      pump.wake();
    };
    const pump = engageStream({
      connection,
      clock: systemClock,
      take: () => out.splice(0),
      receive,
      ended: finished.reject,
    });
    pump.wake();

    await finished.promise;

    assert.deepEqual(heard, ["hello", "pending", "accepted", "head", "data", "finished"]);
    connection.destroy();
    server.close();
  });
});

describe("EnvelopeReader", () => {
  const envelope = (flags: number, text: string) => {
    const bytes = Buffer.from(text);
    const head = Buffer.alloc(5);
    head[0] = flags;
    head.writeUInt32BE(bytes.length, 1);
    return Buffer.concat([head, bytes]);
  };

  it("cuts a stream into its messages, wherever it was cut on its way", () => {
    const stream = Buffer.concat([
      envelope(0, "one"),
      envelope(0, ""),
      envelope(2, "three"),
      envelope(0, "x".repeat(300)),
    ]);
    for (let size = 1; size <= stream.length; size++) {
      const taken: string[] = [];
      const reader = new EnvelopeReader(
        1_000,
        (flags, message) => void taken.push(`${flags} ${Buffer.concat(message).toString()}`),
      );

      for (let at = 0; at < stream.length; at += size) reader.push(stream.subarray(at, at + size));

      assert.deepEqual(taken, ["0 one", "0 ", "2 three", `0 ${"x".repeat(300)}`]);
      assert.equal(reader.between, true);
    }
  });

  it("refuses a message that is too long before it has come", () => {
    const reader = new EnvelopeReader(10, () => {});

    assert.throws(() => reader.push(envelope(0, "x".repeat(11)).subarray(0, 5)), EnvelopeError);
  });
});
