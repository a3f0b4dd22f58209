import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { Code, createClient, type Transport } from "@connectrpc/connect";
import {
  compressionGzip,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";

import { newCallId } from "../../core/call.ts";
import { LARGEST_MESSAGE_BYTES } from "../../core/session/frames.ts";
import { CallType, RunnerService } from "../../gen/kiln/runner/v1/runner_pb.ts";
import { createAuthority, issue } from "../../kiln/pki.ts";
import { callFor } from "../../kiln/testing/call-for.ts";
import { EngageRequests } from "../../kiln/testing/engage-requests.ts";
import { eventually } from "../../kiln/testing/eventually.ts";
import { grpcJsClient, type RunnerClient } from "../../kiln/testing/grpc-js-client.ts";
import { processRunner, served, type ServedRunner } from "../../kiln/testing/process-runner.ts";
import { tcpProxy } from "../../kiln/testing/tcp-proxy.ts";

const authority = await createAuthority();
const gatewayPki = await issue(authority, { name: "kiln-gateway", role: "gateway" });

// Answers with what it was sent, and writes a piece of it.
const ECHO = `
const { createServer } = require("node:http");
createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  console.log(body.toString().slice(0, 6_000));
  setTimeout(() => response.end(body), process.env.SLEEP || 0);
}).listen(process.env.FN_LISTENER.slice("unix:".length));
`;

/** As an offer takes it at once, and nothing but repetition: compressed it is a hundredth. */
const BODY = "kiln".repeat(8_192);
/** What its compressed form never reaches, with all that goes around it, and what the plain form always does. */
const HALF = BODY.length / 2;

const CREDIT = { responseCredit: 65_536, affinityKey: "a".repeat(64) };

type Form = "compressed" | "plain";

interface Forms {
  readonly up: Form;
  readonly down: Form;
  /** Of a session's answers, where that is another. */
  readonly sessionDown?: Form;
}

type Open = (address: string) => RunnerClient & Disposable;

interface Compressions {
  readonly acceptCompression: (typeof compressionGzip)[];
  readonly sendCompression?: typeof compressionGzip;
}

interface Shared extends Compressions {
  readonly baseUrl: string;
  readonly sessionManager: Http2SessionManager;
}

function connectNode(make: (options: Shared) => Transport, compressions: Compressions): Open {
  return (address) => {
    const baseUrl = `https://${address}`;
    const sessionManager = new Http2SessionManager(baseUrl, {}, { ...gatewayPki });
    const client = createClient(RunnerService, make({ baseUrl, sessionManager, ...compressions }));
    return { ...client, [Symbol.dispose]: () => sessionManager.abort() };
  };
}

const TRANSPORTS: Readonly<Record<string, (options: Shared) => Transport>> = {
  Connect: (options) => createConnectTransport({ ...options, httpVersion: "2" }),
  "Connect in JSON": (options) => createConnectTransport({ ...options, httpVersion: "2", useBinaryFormat: false }),
  gRPC: createGrpcTransport,
  "gRPC-Web": (options) => createGrpcWebTransport({ ...options, httpVersion: "2" }),
};

const CLIENTS: Record<string, Forms & { readonly open: Open }> = {
  "grpc-js": { open: (address) => grpcJsClient(address, gatewayPki, false), up: "plain", down: "compressed" },
  "grpc-js, compressing": {
    open: (address) => grpcJsClient(address, gatewayPki, true),
    up: "compressed",
    down: "compressed",
  },
};
for (const [name, make] of Object.entries(TRANSPORTS)) {
  CLIENTS[name] = { open: connectNode(make, { acceptCompression: [] }), up: "plain", down: "plain" };
  CLIENTS[`${name}, taking gzip`] = {
    open: connectNode(make, { acceptCompression: [compressionGzip] }),
    up: "plain",
    down: "compressed",
    // What is answered by hand is never compressed: gateways would pay for it with every call.
    ...(name === "Connect" ? { sessionDown: "plain" } : {}),
  };
  CLIENTS[`${name}, compressing`] = {
    open: connectNode(make, { acceptCompression: [compressionGzip], sendCompression: compressionGzip }),
    up: "compressed",
    down: "compressed",
  };
}

const newCall = () => ({
  id: newCallId(),
  type: CallType.SYNC,
  appId: "app",
  fnId: "echo",
  image: "echo",
  memoryMib: 128,
  timeoutMs: 30_000,
  idleTimeoutMs: 30_000,
});

describe("RunnerService", { timeout: 120_000 }, () => {
  let functionsDirectory = "";
  let one: ServedRunner;
  before(async () => {
    functionsDirectory = await mkdtemp(join(tmpdir(), "kiln-rpc-"));
    await mkdir(join(functionsDirectory, "echo"));
    await writeFile(join(functionsDirectory, "echo", "func.yaml"), "entrypoint: node func.cjs\n");
    await writeFile(join(functionsDirectory, "echo", "func.cjs"), ECHO);
    const pki = await issue(authority, { name: "kiln-runner", role: "runner" });
    one = await served(await processRunner({ functionsDirectory }), pki);
  });
  after(async () => {
    await one[Symbol.asyncDispose]();
    await rm(functionsDirectory, { recursive: true });
  });

  it("refuses a message that is small on the wire and too large in memory", async () => {
    using client = grpcJsClient(one.address, gatewayPki, true);
    const body = Buffer.alloc(LARGEST_MESSAGE_BYTES + 1);

    const refused: unknown = await client.invoke({ call: newCall(), body }).catch((error: unknown) => error);

    assert.ok(refused instanceof Error && "code" in refused, String(refused));
    assert.equal(refused.code, Code.ResourceExhausted);
  });

  for (const [name, { open, up, down, sessionDown = down }] of Object.entries(CLIENTS)) {
    describe(`for an independent client: ${name}`, () => {
      let wire: Awaited<ReturnType<typeof tcpProxy>>;
      let client: ReturnType<Open>;
      before(async () => {
        wire = await tcpProxy(one.address);
        client = open(wire.address);
        // The handshake is not counted.
        await client.status({});
      });
      after(async () => {
        client[Symbol.dispose]();
        await wire[Symbol.asyncDispose]();
      });

      /** In which form the large body went, each way, while this was done. */
      async function formsOf(work: () => Promise<void>): Promise<Forms> {
        const from = wire.carried;
        await work();
        const to = wire.carried;
        const form = (bytes: number): Form => (bytes < HALF ? "compressed" : "plain");
        return { up: form(to.up - from.up), down: form(to.down - from.down) };
      }

      it("Status tells of the runner", async () => {
        const { runnerId, draining } = await client.status({});

        assert.deepEqual({ runnerId, draining }, { runnerId: "runner", draining: false });
      });

      it("Invoke brings a body there and back", async () => {
        let echoed = "";

        const forms = await formsOf(async () => {
          const { status, body } = await client.invoke({ call: newCall(), body: Buffer.from(BODY) });
          assert.equal(status, 200);
          echoed = Buffer.from(body).toString();
        });

        assert.equal(echoed, BODY);
        assert.deepEqual(forms, { up, down });
      });

      it("Invoke says by a code what was wrong", async () => {
        const refused: unknown = await client
          .invoke({ call: { ...newCall(), memoryMib: 0 } })
          .catch((error: unknown) => error);

        assert.ok(refused instanceof Error && "code" in refused, String(refused));
        assert.equal(refused.code, Code.InvalidArgument);
        // Of what connect-node escapes in a gRPC message, grpc-js gives a part back as it came.
        assert.match(decodeURIComponent(refused.message), /invalid_call: .*memoryMiB is 0/);
      });

      it("a deadline ends the call on the runner too", async () => {
        const late: unknown = await client
          .invoke({ call: { ...newCall(), config: { SLEEP: "20000" } } }, { timeoutMs: 300 })
          .catch((error: unknown) => error);

        assert.ok(late instanceof Error && "code" in late, String(late));
        assert.equal(late.code, Code.DeadlineExceeded);
        await eventually(() => assert.equal(one.runner.status().active, 0));
      });

      it("StreamLogs gives lines as they are written, until the client leaves", async () => {
        const leaving = new AbortController();
        const call = newCall();
        const stream = client.streamLogs({ callId: call.id }, { signal: leaving.signal })[Symbol.asyncIterator]();
        await stream.next();

        await client.invoke({ call, body: Buffer.from(BODY) });
        const next = await stream.next();

        assert.ok(next.done !== true);
        assert.deepEqual(
          next.value.lines.map(({ text }) => text),
          [BODY.slice(0, 6_000)],
        );
        leaving.abort();
        await assert.rejects(async () => stream.next());
      });

      it("Engage runs a call", async () => {
        const requests = new EngageRequests();
        const offer = { call: callFor("echo"), remainingMs: 30_000, body: Buffer.from(BODY), end: true, ...CREDIT };
        requests.push({ type: "hello", gatewayId: "g", version: "0" }, { type: "offer", call: 1, offer });
        const seen: string[] = [];
        let body = "";

        const forms = await formsOf(async () => {
          for await (const { frames } of client.engage(requests)) {
            for (const { call, frame } of frames) {
              if (frame.case === "capacity") continue;
              if (frame.case === "accepted" && seen.includes("pending")) requests.push({ type: "start", call });
              if (frame.case === "data") body += Buffer.from(frame.value.bytes).toString();
              if (frame.case === "finished") requests.end();
              if (frame.case !== "data") seen.push(frame.case ?? "?");
            }
          }
        });

        assert.deepEqual(
          seen.filter((word) => word !== "pending"),
          ["hello", "accepted", "head", "finished"],
        );
        assert.equal(body, BODY);
        assert.deepEqual(forms, { up, down: sessionDown });
      });
    });
  }
});
