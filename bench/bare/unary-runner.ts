// A runner as one would first write it: connect-node's handler, and undici to functions' sockets.
// node bench/bare/unary-runner.ts PKI-DIRECTORY SOCKET…
import { createSecureServer } from "node:http2";
import process from "node:process";

import { connectNodeAdapter } from "@connectrpc/connect-node";
import { Client } from "undici";

import { RunnerService } from "../../gen/kiln/runner/v1/runner_pb.ts";
import { passedHeaders } from "./passed-headers.ts";
import { pkiOf } from "./pki.ts";

const [pki = "", ...sockets] = process.argv.slice(2);
const idle = sockets.map((socketPath) => new Client("http://localhost", { socketPath, pipelining: 1 }));
const queue: ((client: Client) => void)[] = [];

function free(): Promise<Client> {
  const client = idle.pop();
  return client === undefined ? new Promise((resolve) => queue.push(resolve)) : Promise.resolve(client);
}

function giveBack(client: Client): void {
  const next = queue.shift();
  if (next === undefined) idle.push(client);
  else next(client);
}

const adapter = connectNodeAdapter({
  acceptCompression: [],
  routes: (router) =>
    router.service(RunnerService, {
      async invoke({ call, body }) {
        const client = await free();
        try {
          const headers = (call?.headers ?? []).flatMap(({ name, value }) => [name, value]);
          const answer = await client.request({ path: "/call", method: "POST", headers, body });
          const raw = Object.entries(answer.headers).flatMap(([name, value]) => [name, String(value)]);
          const bytes = new Uint8Array(await answer.body.arrayBuffer());
          return { status: answer.statusCode, headers: passedHeaders(raw), body: bytes };
        } finally {
          giveBack(client);
        }
      },
    }),
});
const server = createSecureServer({ ...pkiOf("runner", pki), requestCert: true, rejectUnauthorized: true }, adapter);
server.on("sessionError", () => {});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  process.stdout.write(`${JSON.stringify({ address: `127.0.0.1:${port}` })}\n`);
});
for (const end of ["SIGTERM", "disconnect"]) process.on(end, () => process.exit(0));
