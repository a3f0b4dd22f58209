import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";

interface Connection {
  /** What is answered on it, or was last. */
  answer: ServerResponse | undefined;
  idleSince: number | undefined;
}

/** What is on its way on an idle connection comes before it is closed. */
const IDLE_MS = 250;

/**
 * Has a server that leaves lose no request: clients hear with their next answer that their connection ends, and one
 * without a request is closed only after a moment, where Node would close it under a request that is on its way.
 * Told of every request before it is answered, by what this returns.
 */
export function leavesGently(server: Server): (incoming: IncomingMessage, outgoing: ServerResponse) => void {
  const open = new Map<Socket, Connection>();
  let leaving = false;
  const of = (socket: Socket): Connection => {
    let connection = open.get(socket);
    if (connection === undefined) {
      open.set(socket, (connection = { answer: undefined, idleSince: undefined }));
      socket.once("close", () => open.delete(socket));
    }
    return connection;
  };
  server.on("connection", of);
  // `close` calls it as well.
  server.closeIdleConnections = () => {
    const now = performance.now();
    for (const [socket, connection] of open) {
      const { answer } = connection;
      if (!leaving && answer?.headersSent === false) answer.shouldKeepAlive = false;
      const idle = answer === undefined || answer.writableFinished;
      if (!idle) connection.idleSince = undefined;
      else if (now - (connection.idleSince ??= now) >= IDLE_MS) socket.destroy();
    }
    leaving = true;
  };
  return (incoming, outgoing) => {
    of(incoming.socket).answer = outgoing;
    if (leaving) outgoing.shouldKeepAlive = false;
  };
}
