// The least a gateway on Kiln's mechanism does: Hono, and calls as messages on one stream. No feature of Kiln's.
// node bench/bare/gateway.ts RUNNER-ADDRESS PKI-DIRECTORY
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

const [runner = "", pki = ""] = process.argv.slice(2);
const pem = (name: string) => readFileSync(join(pki, name));
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

interface Answer {
  readonly head: pb.Head;
  readonly body: Uint8Array<ArrayBuffer>;
}

const waiting = new Map<number, (answer: Answer) => void>();
const heads = new Map<number, pb.Head>();
let lastCall = 0;

const send = batched<pb.GatewayFrame>(stream, (frames) =>
  toBinary(pb.EngageRequestSchema, create(pb.EngageRequestSchema, { frames })),
);
onMessages(stream, (message) => {
  for (const { call, frame } of fromBinary(pb.EngageResponseSchema, message).frames) {
    if (frame.case === "head") heads.set(call, frame.value);
    if (frame.case !== "data") continue;
    const head = heads.get(call);
    if (head !== undefined) waiting.get(call)?.({ head, body: frame.value.bytes as Uint8Array<ArrayBuffer> });
    waiting.delete(call);
    heads.delete(call);
  }
});

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
  const call = create(pb.CallSchema, { fnId: c.req.param("fnId"), method: c.req.method, headers });
  const offer = create(pb.OfferSchema, { call, body, end: true });
  const number = ++lastCall;
  const answer = await new Promise<Answer>((resolve) => {
    waiting.set(number, resolve);
    send(create(pb.GatewayFrameSchema, { call: number, frame: { case: "offer", value: offer } }));
  });
  const fields: Record<string, string> = {};
  for (const { name, value } of answer.head.headers) if (!NOT_PASSED.has(name)) fields[name] = value;
  return new Response(answer.body, { status: answer.head.status, headers: fields });
});

serve({ fetch: app.fetch, hostname: "127.0.0.1", port: 0 }, ({ port }) => {
  process.stdout.write(`${JSON.stringify({ address: `127.0.0.1:${port}` })}\n`);
});
for (const end of ["SIGTERM", "disconnect"]) process.on(end, () => process.exit(0));
