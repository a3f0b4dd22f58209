// One small function for any number of containers: it answers every call with `{}`, without looking at it.
// node bench/scale/function.ts SOCKET
import { createServer } from "node:http";
import process from "node:process";

const [socketPath = ""] = process.argv.slice(2);

const ANSWER = { "content-type": "application/json", "content-length": "2" };
const server = createServer((request, response) => {
  request.resume();
  request.once("end", () => response.writeHead(200, ANSWER).end("{}"));
});
server.keepAliveTimeout = 0;
server.requestTimeout = 0;
server.listen(socketPath, () => process.stdout.write(`${JSON.stringify({ address: socketPath })}\n`));
for (const end of ["SIGTERM", "disconnect"]) process.on(end, () => process.exit(0));
