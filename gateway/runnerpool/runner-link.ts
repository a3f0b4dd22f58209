import type { X509Certificate } from "node:crypto";
import * as http2 from "node:http2";
import { isIP } from "node:net";

import { create } from "@bufbuild/protobuf";
import { createClient, type Client } from "@connectrpc/connect";
import { createTransport } from "@connectrpc/connect/protocol-connect";

import { CallError } from "../../core/call-error.ts";
import type { Clock } from "../../core/clock.ts";
import { keepAlive, type PingTimes } from "../../core/keep-alive.ts";
import { certificateChain, isVouchedFor } from "../../core/peer-certificate.ts";
import { certificateNames, type PkiData } from "../../core/pki.ts";
import { LARGEST_MESSAGE_BYTES, type Capacity, type RunnerHello } from "../../core/session/frames.ts";
import type { WindowLimits } from "../../core/session/receive-windows.ts";
import { WRONG_NAME } from "../../core/tls-refusal.ts";
import { RunnerService, StatusRequestSchema } from "../../gen/kiln/runner/v1/runner_pb.ts";
import { engageStream } from "./engage-stream.ts";
import { eventFedClient } from "./http2-client.ts";
import type { RunnerStatus } from "./runnerpool.ts";
import { GatewaySession } from "./session.ts";
import { fromStatus } from "./wire.ts";

/** One connection to a runner, with one session on it. */
export interface RunnerLink {
  readonly session: GatewaySession;
  readonly hello: RunnerHello;
  status(signal: AbortSignal, body?: Uint8Array): Promise<RunnerStatus>;
  /** Resolves with the reason when the connection is gone, or takes no new calls: its session is over or it is not. */
  readonly lost: Promise<CallError>;
  /** Has it take no new calls unless one of these authorities vouches for the runner's certificate. */
  recheck(authorities: string): void;
  close(): void;
}

export interface LinkOptions {
  readonly address: string;
  /** What the runner's certificate must carry, whatever the address. */
  readonly certCommonName: string;
  readonly pki: PkiData;
  readonly gatewayId: string;
  readonly version: string;
  readonly dialTimeoutMs: number;
  /** Nobody wants the connection any more, should it not be there yet. */
  readonly signal: AbortSignal;
  readonly ping: PingTimes;
  readonly windows: WindowLimits;
  readonly clock: Clock;
  readonly capacity: (capacity: Capacity) => void;
  readonly draining: () => void;
  /** What takes a call's answer threw. */
  readonly fault: (error: unknown) => void;
}

const WINDOW_BYTES = 4 * 1024 * 1024;

/** Connects, greets, and resolves once the runner has said who it is. @throws CallError `runner_unreachable` */
export async function openLink(options: LinkOptions): Promise<RunnerLink> {
  const { address, dialTimeoutMs, signal, clock } = options;
  const lost = Promise.withResolvers<CallError>();
  const greeted = Promise.withResolvers<RunnerHello>();
  const session = new GatewaySession(
    {
      wake: () => pump.wake(),
      hello: (hello) => greeted.resolve(hello),
      capacity: options.capacity,
      draining: options.draining,
      // The runner waits for it with its own end, which no offer can cross then.
      emptied: () => pump.end(),
      fault: options.fault,
    },
    options.windows,
  );
  let certificates: readonly X509Certificate[] = [];
  const connection = dialRunner(options, (chain) => (certificates = chain));
  const retire = (why: string) => lost.resolve(unreachable(address, new Error(why)));
  const close = (reason: unknown) => {
    const error = unreachable(address, reason);
    session.lost(error);
    pump.stop();
    connection.destroy();
    greeted.reject(error);
    lost.resolve(error);
  };
  connection.on("error", close);
  connection.on("close", () => close(new Error("the runner closed the connection, it may not list this gateway")));
  connection.on("goaway", () => retire("the runner is closing the connection"));

  const pump = engageStream({
    connection,
    clock,
    take: (budgetBytes) => (session.over === undefined ? session.take(budgetBytes) : []),
    receive: (frames) => session.receive(frames),
    ended: close,
  });
  session.hello(options.gatewayId, options.version);
  const client = runnerClient(connection, options.address);
  const cancelTimer = clock.after(dialTimeoutMs, () => close(new Error(`no answer in ${dialTimeoutMs} ms`)));
  const giveUp = () => close(new Error("this gateway closed it"));
  signal.addEventListener("abort", giveUp, { once: true });
  const hello = await greeted.promise.finally(() => {
    cancelTimer();
    signal.removeEventListener("abort", giveUp);
  });
  keepAlive(connection, options.ping, clock, close);
  return {
    session,
    hello,
    recheck(authorities) {
      if (!isVouchedFor(certificates, authorities)) retire("the authority of its certificate is no longer believed");
    },
    lost: lost.promise,
    status: async (signal, body) =>
      fromStatus(await client.status(create(StatusRequestSchema, { body: body ?? new Uint8Array() }), { signal })),
    close: giveUp,
  };
}

/** Dials a runner over mutual TLS, and believes only the one of this name. */
export function dialRunner(
  { address, certCommonName, pki: { ca, cert, key } }: Pick<LinkOptions, "address" | "certCommonName" | "pki">,
  known: (chain: readonly X509Certificate[]) => void = () => {},
): http2.ClientHttp2Session {
  const connection = http2.connect(`https://${address}`, {
    ca,
    cert,
    key,
    // An address is no name for SNI; the check below is ours either way.
    ...(isIP(certCommonName) === 0 ? { servername: certCommonName } : {}),
    rejectUnauthorized: true,
    checkServerIdentity(_host, peer) {
      const chain = certificateChain(peer);
      known(chain);
      return wrongName(chain[0], certCommonName);
    },
    settings: { initialWindowSize: WINDOW_BYTES, enablePush: false },
  });
  connection.on("connect", () => {
    // It may have been given up in the same turn.
    if (!connection.destroyed) connection.setLocalWindowSize(WINDOW_BYTES);
  });
  return connection;
}

function wrongName(certificate: X509Certificate | undefined, expected: string): Error | undefined {
  const names = certificate === undefined ? [] : certificateNames(certificate);
  if (names.includes(expected)) return undefined;
  const message = `the certificate is for ${names.join(", ") || "nobody"}, expected ${expected}`;
  return Object.assign(new Error(message), { code: WRONG_NAME });
}

/** Speaks to a runner over a connection that is there. */
export function runnerClient(connection: http2.ClientHttp2Session, address: string): Client<typeof RunnerService> {
  const transport = createTransport({
    httpClient: eventFedClient(() => Promise.resolve(connection)),
    baseUrl: `https://${address}`,
    useBinaryFormat: true,
    interceptors: [],
    acceptCompression: [],
    sendCompression: null,
    compressMinBytes: 1_024,
    readMaxBytes: LARGEST_MESSAGE_BYTES,
    writeMaxBytes: LARGEST_MESSAGE_BYTES,
  });
  return createClient(RunnerService, transport);
}

function unreachable(address: string, reason: unknown): CallError {
  const why = reason instanceof Error ? reason.message : String(reason);
  return new CallError("runner_unreachable", `Runner ${address} cannot be reached: ${why}`, { cause: reason });
}
