import * as http2 from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { SecureContextOptions, TLSSocket } from "node:tls";

import { connectNodeAdapter } from "@connectrpc/connect-node";

import { pause, systemClock, type Clock } from "../../core/clock.ts";
import { keepAlive, type PingTimes } from "../../core/keep-alive.ts";
import type { Log } from "../../core/log.ts";
import { certificateChain } from "../../core/peer-certificate.ts";
import { certificateNames, pkiSource, type PkiData, type PkiSource } from "../../core/pki.ts";
import { LARGEST_MESSAGE_BYTES } from "../../core/session/frames.ts";
import type { WindowLimits } from "../../core/session/receive-windows.ts";
import { refusalPhrase } from "../../core/tls-refusal.ts";
import type { Runner } from "../runner.ts";
import { isPlainEngage, serveEngage } from "./engage-stream.ts";
import { Farewells } from "./farewells.ts";
import { createRetirement } from "./retirement.ts";
import { runnerRoutes } from "./service.ts";

export interface RunnerServerOptions {
  readonly runner: Runner;
  readonly pki: PkiData | PkiSource;
  /** Names of the gateways that may connect: one of them must be in the peer's certificate. */
  readonly gatewayIdentities: readonly string[];
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly ping?: PingTimes;
  /** How much of request bodies may be under way; as by default, unless told. */
  readonly windows?: WindowLimits;
  /** How long the calls of a gateway may go on once its authority is no longer believed, and the last answers at the end. */
  readonly drainMs?: number;
  readonly clock?: Clock;
  readonly log: Log;
}

/** Disposing it waits for the last word of its gateways if the runner has drained, and closes it. */
export interface RunnerServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** Waits for nobody. */
  hurry(): void;
}

// Node's window of 64 KiB gives 5.9 MB/s at 10 ms of round trip, this one 231.
const WINDOW_BYTES = 4 * 1024 * 1024;
const HANDSHAKE_TIMEOUT_MS = 10_000;
const CLOSE_WITHIN_MS = 1_000;
const PING: PingTimes = { everyMs: 10_000, timeoutMs: 5_000 };

/** Serves a runner over HTTP/2 with mutual TLS. @throws Error naming the address when it is taken */
export async function serveRunner(options: RunnerServerOptions): Promise<RunnerServer> {
  const { runner, host, port, log, ping = PING, drainMs = 30_000, clock = systemClock } = options;
  const pki = pkiSource(options.pki);
  const retirement = createRetirement({ drainMs, clock, log });
  const farewells = new Farewells(clock);
  const hurried = new AbortController();
  const connect = connectNodeAdapter({
    routes: runnerRoutes(runner, log, options.windows),
    readMaxBytes: LARGEST_MESSAGE_BYTES,
    contextValues: retirement.contextValues,
  });
  const server = http2.createSecureServer(
    {
      ...secureContext(pki.current),
      requestCert: true,
      rejectUnauthorized: true,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      settings: { initialWindowSize: WINDOW_BYTES },
    },
    (request, response) => {
      const { stream } = request;
      if (!isPlainEngage(request.method, request.headers)) return connect(request, response);
      const isRetired = () => retirement.isRetired(stream.session);
      serveEngage(stream, { runner, clock, log, isRetired, farewells, windows: options.windows });
    },
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
    retirement.watch(session);
    keepAlive(session, ping, clock, (reason) => {
      log.warn("Gateway is gone", { reason });
      session.destroy();
    });
  });
  server.on("tlsClientError", (error: NodeJS.ErrnoException, socket: TLSSocket) => logRefusal(log, error, socket));
  server.on("sessionError", (error: Error) => log.debug("Session failed", { reason: error }));
  const forget = pki.onChange(() => {
    server.setSecureContext(secureContext(pki.current));
    retirement.keepOnly(pki.current.ca);
  });
  await listen(server, host, port);
  const { address, port: bound } = server.address() as AddressInfo;
  return {
    host: address,
    port: bound,
    hurry: () => hurried.abort(),
    async [Symbol.asyncDispose]() {
      forget();
      const limits = { silentMs: ping.timeoutMs, answerMs: drainMs };
      if (runner.status().draining) await farewells.allSaid(limits, hurried.signal);
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

function secureContext({ ca, cert, key }: PkiData): SecureContextOptions {
  return { ca, cert, key, minVersion: "TLSv1.2" };
}

function logRefusal(log: Log, error: NodeJS.ErrnoException, socket: TLSSocket): void {
  const { remoteAddress: peer, authorizationError } = socket;
  // Where it read the certificate, Node tells its reason on the socket, and "socket hang up" as the error.
  const code = authorizationError as unknown as string | null | undefined;
  const reason: NodeJS.ErrnoException =
    typeof code === "string" ? Object.assign(new Error("its certificate was not accepted"), { code }) : error;
  const phrase = refusalPhrase(reason) ?? (reason === error ? undefined : reason.message);
  if (phrase === undefined) log.info("Connection failed before it was secure", { peer, reason });
  else log.warn(`Refused a connection: ${phrase}`, { peer, reason: reason.code ?? reason.message });
}

/** A certificate of the right authority says who the peer is, not that it may come in. */
function admit(socket: TLSSocket, { gatewayIdentities, log }: RunnerServerOptions): void {
  const [certificate] = certificateChain(socket.getPeerCertificate());
  const names = certificate === undefined ? [] : certificateNames(certificate);
  if (names.some((name) => gatewayIdentities.includes(name))) return;
  log.warn("Refused a connection: its certificate names no listed gateway", {
    peer: socket.remoteAddress,
    names,
    listed: gatewayIdentities,
  });
  socket.destroy();
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
