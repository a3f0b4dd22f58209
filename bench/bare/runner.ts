// The least a runner on Kiln's mechanism does: frames from one mutual TLS stream to functions' sockets and back.
// node bench/bare/runner.ts [--addresses N] PKI-DIRECTORY SOCKET…
import { readFileSync } from "node:fs";
import { createSecureServer, type ServerHttp2Stream } from "node:http2";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Client } from "undici";

import * as pb from "../../gen/kiln/runner/v1/runner_pb.ts";
import { batched, onMessages } from "./frames.ts";

const { values, positionals } = parseArgs({
  options: { addresses: { type: "string", default: "1" } },
  allowPositionals: true,
});
const [pki = "", ...sockets] = positionals;
const pem = (name: string) => readFileSync(join(pki, name));

// One call at a time for each function, the last used first, as Kiln has it.
const idle = sockets.map((socketPath) => new Client("http://localhost", { socketPath, pipelining: 1 }));
const queue: ((client: Client) => void)[] = [];

function withFunction(run: (client: Client) => void): void {
  const client = idle.pop();
  if (client === undefined) queue.push(run);
  else run(client);
}

function giveBack(client: Client): void {
  const next = queue.shift();
  if (next === undefined) idle.push(client);
  else next(client);
}

type Send = (frame: pb.RunnerFrame) => void;

function serveStream(stream: ServerHttp2Stream): void {
  stream.respond({ ":status": 200 });
  stream.on("error", () => {});
  const send = batched<pb.RunnerFrame>(stream, (frames) =>
    toBinary(pb.EngageResponseSchema, create(pb.EngageResponseSchema, { frames })),
  );
  onMessages(stream, (message) => {
    for (const { call, frame } of fromBinary(pb.EngageRequestSchema, message).frames) {
      if (frame.case === "offer") withFunction((client) => runOn(client, call, frame.value, send));
    }
  });
}

function runOn(client: Client, call: number, offer: pb.Offer, send: Send): void {
  const flat: string[] = [];
  for (const { name, value } of offer.call?.headers ?? []) flat.push(name, value);
  const chunks: Buffer[] = [];
  client.dispatch(
    { path: "/call", method: "POST", headers: flat, body: offer.body },
    {
      onRequestStart() {},
      onResponseStart(_controller, status, headers) {
        const list = Object.entries(headers).map(([name, value]) =>
          create(pb.HeaderSchema, { name, value: String(value) }),
        );
        send(
          create(pb.RunnerFrameSchema, {
            call,
            frame: { case: "head", value: create(pb.HeadSchema, { status, headers: list }) },
          }),
        );
      },
      onResponseData: (_controller, chunk) => void chunks.push(chunk),
      onResponseEnd() {
        const bytes = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
        send(
          create(pb.RunnerFrameSchema, {
            call,
            frame: { case: "data", value: create(pb.DataSchema, { bytes, end: true }) },
          }),
        );
        giveBack(client);
      },
      onResponseError(_controller, error) {
        // A bound with failures is none.
        throw error;
      },
    },
  );
}

function listen(): Promise<string> {
  const server = createSecureServer({
    key: pem("runner.key"),
    cert: pem("runner.crt"),
    ca: pem("ca.crt"),
    requestCert: true,
    rejectUnauthorized: true,
    settings: { initialWindowSize: 4 * 1024 * 1024 },
  });
  server.on("session", (session) => session.setLocalWindowSize(4 * 1024 * 1024));
  server.on("stream", serveStream);
  server.on("sessionError", () => {});
  return new Promise((listening) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      listening(`127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`);
    });
  });
}

// As many runners at so many addresses would be, but for their containers, which they share.
const addresses = await Promise.all(Array.from({ length: Number(values.addresses) }, listen));
process.stdout.write(`${JSON.stringify({ address: addresses.join(" ") })}\n`);
for (const end of ["SIGTERM", "disconnect"]) process.on(end, () => process.exit(0));
