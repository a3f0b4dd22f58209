// The least a gateway on Kiln's mechanism does: Hono, and calls as messages on one stream to each runner. No feature of
// Kiln's; a function's calls go to the runner that its first one went to, each function's to the next.
// node bench/bare/gateway.ts RUNNER-ADDRESSES PKI-DIRECTORY
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:http2";
import { join } from "node:path";
import process from "node:process";

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { serve, type HttpBindings } from "@hono/node-server";
import { Hono } from "hono";

import * as pb from "../../gen/kiln/runner/v1/runner_pb.ts";
import { batched, onMessages } from "./frames.ts";

const [runners = "", pki = ""] = process.argv.slice(2);
const pem = (name: string) => readFileSync(join(pki, name));

interface Answer {
  readonly head: pb.Head;
  readonly body: Uint8Array<ArrayBuffer>;
}

const waiting = new Map<number, (answer: Answer) => void>();
const heads = new Map<number, pb.Head>();
let lastCall = 0;

type Send = (frame: pb.GatewayFrame) => void;

async function dial(runner: string): Promise<Send> {
  const session = connect(`https://${runner}`, {
    key: pem("gateway.key"),
    cert: pem("gateway.crt"),
    ca: pem("ca.crt"),
    servername: "kiln-runner",
    settings: { initialWindowSize: 4 * 1024 * 1024 },
  });
  await once(session, "connect");
  session.setLocalWindowSize(4 * 1024 * 1024);
  const stream = session.request({ ":method": "POST", ":path": "/bare" });
  onMessages(stream, receive);
  return batched<pb.GatewayFrame>(stream, (frames) =>
    toBinary(pb.EngageRequestSchema, create(pb.EngageRequestSchema, { frames })),
  );
}

function receive(message: Buffer): void {
  for (const { call, frame } of fromBinary(pb.EngageResponseSchema, message).frames) {
    if (frame.case === "head") heads.set(call, frame.value);
    if (frame.case !== "data") continue;
    const head = heads.get(call);
    if (head !== undefined) waiting.get(call)?.({ head, body: frame.value.bytes as Uint8Array<ArrayBuffer> });
    waiting.delete(call);
    heads.delete(call);
  }
}

const dialled = await Promise.all(runners.split(" ").map(dial));
const placed = new Map<string, Send | undefined>();

function place(fnId: string): Send | undefined {
  if (!placed.has(fnId)) placed.set(fnId, dialled[placed.size % dialled.length]);
  return placed.get(fnId);
}

const NOT_PASSED = new Set(["host", "connection", "content-length", "keep-alive", "transfer-encoding", "date"]);

const app = new Hono<{ Bindings: HttpBindings }>();
app.post("/invoke/:fnId", async (c) => {
  const { rawHeaders } = c.env.incoming;
  const headers: pb.Header[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? "").toLowerCase();
    if (!NOT_PASSED.has(name)) headers.push(create(pb.HeaderSchema, { name, value: rawHeaders[i + 1] ?? "" }));
  }
  const body = new Uint8Array(await c.req.arrayBuffer());
  const fnId = c.req.param("fnId");
  const send = place(fnId);
  const call = create(pb.CallSchema, { fnId, method: c.req.method, headers });
  const offer = create(pb.OfferSchema, { call, body, end: true });
  const number = ++lastCall;
  const answer = await new Promise<Answer>((resolve) => {
    waiting.set(number, resolve);
    send?.(create(pb.GatewayFrameSchema, { call: number, frame: { case: "offer", value: offer } }));
  });
  const fields: Record<string, string> = {};
  for (const { name, value } of answer.head.headers) if (!NOT_PASSED.has(name)) fields[name] = value;
  return new Response(answer.body, { status: answer.head.status, headers: fields });
});

serve({ fetch: app.fetch, hostname: "127.0.0.1", port: 0 }, ({ port }) => {
  process.stdout.write(`${JSON.stringify({ address: `127.0.0.1:${port}` })}\n`);
});
for (const end of ["SIGTERM", "disconnect"]) process.on(end, () => process.exit(0));
