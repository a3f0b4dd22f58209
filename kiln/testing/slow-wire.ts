import { connect, createServer, type Socket } from "node:net";

/**
 * Carries TCP from one address to another, every byte late: stands in for a long line where the kernel cannot make one.
 * Arguments: where to listen and where to connect, both `host:port`, and how late, milliseconds each way.
 */
const [near = "", far = "", delay = "0"] = process.argv.slice(2);
const delayMs = Number(delay);

function carry(from: Socket, to: Socket): void {
  // Timers of one length fire in the order they were set.
  const late = (task: () => void) => void setTimeout(task, delayMs);
  from.on("data", (chunk) => late(() => to.write(chunk)));
  from.on("end", () => late(() => to.end()));
  from.on("error", () => {});
  from.on("close", () => late(() => to.destroy()));
}

const [farHost, farPort] = split(far);
const server = createServer({ noDelay: true }, (socket) => {
  const other = connect({ host: farHost, port: farPort, noDelay: true });
  carry(socket, other);
  carry(other, socket);
});
const [nearHost, nearPort] = split(near);
server.listen(nearPort, nearHost, () => {
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : nearPort;
  process.stdout.write(`${JSON.stringify({ ready: true, address: `${nearHost}:${port}` })}\n`);
});

function split(address: string): readonly [string, number] {
  const [host = "", port = ""] = address.split(":");
  return [host, Number(port)];
}
