// The least that carries bodies over Kiln's three hops: HTTP/1.1 in, an HTTP/2 stream of its own for each on one mutual
// TLS connection, and out again. node bench/bare/pipe-gateway.ts RUNNER-ADDRESS PKI-DIRECTORY
import { once } from "node:events";
import { createServer } from "node:http";
import { connect, type OutgoingHttpHeaders } from "node:http2";
import process from "node:process";
import { pipeline } from "node:stream";

import { passedHeaders } from "./passed-headers.ts";
import { pkiOf } from "./pki.ts";

const [runner = "", pki = ""] = process.argv.slice(2);
const WINDOW_BYTES = 4 * 1024 * 1024;
const session = connect(`https://${runner}`, {
  ...pkiOf("gateway", pki),
  servername: "kiln-runner",
  settings: { initialWindowSize: WINDOW_BYTES },
});
await once(session, "connect");
session.setLocalWindowSize(WINDOW_BYTES);

const server = createServer((request, response) => {
  const headers: OutgoingHttpHeaders = { ":method": "POST", ":path": "/pipe" };
  for (const { name, value } of passedHeaders(request.rawHeaders)) headers[name] = value;
  const stream = session.request(headers);
  pipeline(request, stream, () => {});
  stream.on("response", ({ ":status": status = 200, "content-length": length }) => {
    response.writeHead(status, length === undefined ? {} : { "content-length": length });
    pipeline(stream, response, () => {});
  });
});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  process.stdout.write(`${JSON.stringify({ address: `127.0.0.1:${port}` })}\n`);
});
for (const end of ["SIGTERM", "disconnect"]) process.on(end, () => process.exit(0));
