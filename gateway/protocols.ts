import { createServer as createHttp1, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import {
  createServer as createHttp2,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from "node:http2";
import type { Server as NetServer } from "node:net";
import { createServer as createTls } from "node:tls";

import { leavesGently } from "./connections.ts";
import type { WatchedCertificate } from "./server-certificate.ts";

export interface ConnectionLimits {
  readonly maxHeaderBytes: number;
  /** From a connection's begin, or the end of a request, to the end of the next one's headers. */
  readonly headersTimeoutMs: number;
  /** How long a connection may be kept without a request. */
  readonly idleTimeoutMs: number;
  /** Most connections at the same time; others are closed at once. 0 sets no limit. */
  readonly maxConnections: number;
  /** Most requests at the same time on one connection of HTTP/2. */
  readonly maxStreams: number;
}

export const DEFAULT_CONNECTION_LIMITS: ConnectionLimits = {
  maxHeaderBytes: 1_048_576,
  headersTimeoutMs: 10_000,
  idleTimeoutMs: 75_000,
  maxConnections: 10_000,
  maxStreams: 256,
};

export type Answer = (
  incoming: IncomingMessage | Http2ServerRequest,
  outgoing: ServerResponse | Http2ServerResponse,
) => void;

/** A server that speaks what its clients speak. */
export interface Protocols {
  /** What is bound to an address, and closed. */
  readonly server: NetServer;
  /** For requests that HTTP/1.1's parser could not read. */
  readonly http1: Server;
  /** Ends connections without a request, and lets those of HTTP/2 take no other. */
  closeIdle(): void;
  closeAll(): void;
}

/** Grants what a request's body may send ahead; the default of 64 KiB halves what a distant client reaches. */
const WINDOW_BYTES = 256 * 1_024;
const HEADER_CHECK_MS = 1_000;

/** HTTP/1.1 in the clear. */
export function clearProtocols(answer: Answer, limits: ConnectionLimits): Protocols {
  const http1 = http1Server(answer, limits);
  return {
    server: http1,
    http1,
    closeIdle: () => http1.closeIdleConnections(),
    closeAll: () => http1.closeAllConnections(),
  };
}

/**
 * HTTP/1.1 and HTTP/2 over TLS, behind one server each, so that the first has all the limits that it has in the clear.
 * A certificate that changes is shown from the next connection on.
 */
export function tlsProtocols(answer: Answer, limits: ConnectionLimits, certificate: WatchedCertificate): Protocols {
  const http1 = http1Server(answer, limits);
  // It listens to nobody itself; this is what starts its watch over slow headers.
  http1.emit("listening");
  const sessions = new Set<ServerHttp2Session>();
  const http2 = createHttp2({
    settings: {
      maxConcurrentStreams: limits.maxStreams,
      maxHeaderListSize: limits.maxHeaderBytes,
      initialWindowSize: WINDOW_BYTES,
    },
  });
  http2.on("request", answer);
  http2.on("session", (session) => follow(session, sessions, limits));
  const server = createTls(
    { ...certificate.current, ALPNProtocols: ["h2", "http/1.1"], handshakeTimeout: limits.headersTimeoutMs },
    (socket) => (socket.alpnProtocol === "h2" ? http2 : http1).emit("connection", socket),
  );
  if (limits.maxConnections > 0) server.maxConnections = limits.maxConnections;
  // A client that breaks off its handshake is its own affair.
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  certificate.onChange((next) => server.setSecureContext({ ...next }));
  return {
    server,
    http1,
    closeIdle() {
      http1.closeIdleConnections();
      for (const session of sessions) if (!session.closed) session.close();
    },
    closeAll() {
      http1.closeAllConnections();
      for (const session of sessions) session.destroy();
    },
  };
}

function http1Server(answer: Answer, limits: ConnectionLimits): Server {
  const server = createHttp1(
    {
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: limits.headersTimeoutMs,
      keepAliveTimeout: limits.idleTimeoutMs,
      connectionsCheckingInterval: Math.min(HEADER_CHECK_MS, limits.headersTimeoutMs),
      // Calls have deadlines of their own, longer than a limit on the whole request could be.
      requestTimeout: 0,
    },
    (incoming, outgoing) => {
      asked(incoming, outgoing);
      answer(incoming, outgoing);
    },
  );
  const asked = leavesGently(server);
  if (limits.maxConnections > 0) server.maxConnections = limits.maxConnections;
  return server;
}

/** Keeps a session until it ends, and ends it once it had no request for too long. */
function follow(session: ServerHttp2Session, sessions: Set<ServerHttp2Session>, limits: ConnectionLimits): void {
  let open = 0;
  sessions.add(session);
  session.on("close", () => sessions.delete(session));
  session.on("error", () => session.destroy());
  session.on("stream", (stream) => {
    open++;
    stream.on("close", () => open--);
  });
  session.setTimeout(limits.idleTimeoutMs, () => {
    if (open === 0) session.close();
  });
}
