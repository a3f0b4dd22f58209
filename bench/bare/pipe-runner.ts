// The other end of pipe-gateway.ts: from the HTTP/2 stream to a function's socket and back.
// node bench/bare/pipe-runner.ts PKI-DIRECTORY SOCKET…
import { Agent, request as ask } from "node:http";
import { createSecureServer, type OutgoingHttpHeaders } from "node:http2";
import process from "node:process";
import { pipeline } from "node:stream";

import { pkiOf } from "./pki.ts";

const [pki = "", ...sockets] = process.argv.slice(2);
const WINDOW_BYTES = 4 * 1024 * 1024;
const idle = sockets.map((socketPath) => ({ socketPath, agent: new Agent({ keepAlive: true, maxSockets: 1 }) }));

const server = createSecureServer({
  ...pkiOf("runner", pki),
  requestCert: true,
  rejectUnauthorized: true,
  settings: { initialWindowSize: WINDOW_BYTES },
});
server.on("session", (session) => session.setLocalWindowSize(WINDOW_BYTES));
server.on("stream", (stream, headers) => {
  // As many clients as functions, so that there is always one.
  const one = idle.shift();
  if (one === undefined) throw new Error("More bodies at a time than functions");
  const fields: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(headers)) if (!name.startsWith(":")) fields[name] = value;
  const call = ask({ ...one, method: "POST", path: "/call", headers: fields }, (answer) => {
    const length = answer.headers["content-length"];
    stream.respond({
      ":status": answer.statusCode ?? 200,
      ...(length === undefined ? {} : { "content-length": length }),
    });
    pipeline(answer, stream, () => {});
    answer.once("close", () => idle.push(one));
  });
  pipeline(stream, call, () => {});
});
server.on("sessionError", () => {});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  process.stdout.write(`${JSON.stringify({ address: `127.0.0.1:${port}` })}\n`);
});
for (const end of ["SIGTERM", "disconnect"]) process.on(end, () => process.exit(0));
