import { X509Certificate } from "node:crypto";
import * as http2 from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { TLSSocket } from "node:tls";

import { connectNodeAdapter } from "@connectrpc/connect-node";

import { pause, systemClock } from "../../core/clock.ts";
import type { Log } from "../../core/log.ts";
import { certificateNames, type PkiData } from "../../core/pki.ts";
import type { Runner } from "../runner.ts";
import { runnerRoutes } from "./service.ts";

export interface RunnerServerOptions {
  readonly runner: Runner;
  readonly pki: PkiData;
  /** Names of the gateways that may connect: one of them must be in the peer's certificate. */
  readonly gatewayIdentities: readonly string[];
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly log: Log;
}

export interface RunnerServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
}

// Node's window of 64 KiB gives 5.9 MB/s at 10 ms of round trip, this one 231.
const WINDOW_BYTES = 4 * 1024 * 1024;
/** More than any message of a session has: a batch of at most 128 KiB and one frame more. */
const LARGEST_MESSAGE_BYTES = 64 * 1024 * 1024;
const HANDSHAKE_TIMEOUT_MS = 10_000;
const CLOSE_WITHIN_MS = 1_000;

/** Serves a runner over HTTP/2 with mutual TLS. @throws Error naming the address when it is taken */
export async function serveRunner(options: RunnerServerOptions): Promise<RunnerServer> {
  const { runner, pki, host, port, log } = options;
  const server = http2.createSecureServer(
    {
      ...pki,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: "TLSv1.2",
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      settings: { initialWindowSize: WINDOW_BYTES },
    },
    connectNodeAdapter({ routes: runnerRoutes(runner, log), readMaxBytes: LARGEST_MESSAGE_BYTES }),
  );
  const sessions = new Set<http2.ServerHttp2Session>();
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.on("secureConnection", (socket: TLSSocket) => admit(socket, options));
  server.on("session", (session) => {
    sessions.add(session);
    session.setLocalWindowSize(WINDOW_BYTES);
    session.on("close", () => sessions.delete(session));
  });
  server.on("tlsClientError", (error: Error, socket: TLSSocket) => {
    log.warn("Refused a connection: its certificate was not accepted", { peer: socket.remoteAddress, reason: error });
  });
  server.on("sessionError", (error: Error) => log.debug("Session failed", { reason: error }));
  await listen(server, host, port);
  const { address, port: bound } = server.address() as AddressInfo;
  return {
    host: address,
    port: bound,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const session of sessions) session.destroy();
      // Those that never finished a handshake have no session to end.
      for (const socket of sockets) socket.destroy();
      // Deno does not show those sockets; the process must not wait for their peers.
      const waited = new AbortController();
      await Promise.race([closed, pause(systemClock, CLOSE_WITHIN_MS, waited.signal)]);
      waited.abort();
    },
  };
}

/** A certificate of the right authority says who the peer is, not that it may come in. */
function admit(socket: TLSSocket, { gatewayIdentities, log }: RunnerServerOptions): void {
  const certificate = socket.getPeerX509Certificate?.() ?? fromRaw(socket);
  const names = certificate === undefined ? [] : certificateNames(certificate);
  if (names.some((name) => gatewayIdentities.includes(name))) return;
  log.warn("Refused a connection: its certificate names no listed gateway", {
    peer: socket.remoteAddress,
    names,
    listed: gatewayIdentities,
  });
  socket.destroy();
}

function fromRaw(socket: TLSSocket): X509Certificate | undefined {
  // Null where the peer has gone meanwhile, whatever the types say.
  const peer: { readonly raw?: Buffer } | null = socket.getPeerCertificate();
  return peer?.raw === undefined ? undefined : new X509Certificate(peer.raw);
}

function listen(server: http2.Http2SecureServer, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const taken = error.code === "EADDRINUSE";
      const hint = taken ? "another process listens there, set FN_GRPC_PORT to a free port" : error.message;
      reject(new Error(`Cannot listen on ${host}:${port}: ${hint}`, { cause: error }));
    });
    server.listen(port, host, () => {
      server.removeAllListeners("error");
      server.on("error", () => {});
      resolve();
    });
  });
}
