import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";

import { getRequestListener, RequestError, type HttpBindings } from "@hono/node-server";

import { type Address, bind, hostAndPort } from "../core/bind.ts";
import { CallError } from "../core/call-error.ts";
import { newCallId } from "../core/call.ts";
import { silentLog, type Log } from "../core/log.ts";
import type { Fetcher } from "./fetcher.ts";
import { errorBody, errorHeaders } from "./invoke/answer-error.ts";
import { DEFAULT_LIMITS } from "./invoke/limits.ts";
import {
  type Answer,
  clearProtocols,
  type ConnectionLimits,
  DEFAULT_CONNECTION_LIMITS,
  type Protocols,
  tlsProtocols,
} from "./protocols.ts";
import type { WatchedCertificate } from "./server-certificate.ts";

export interface ListenOptions extends Address {
  /** Lets other processes of this user listen there too: the system spreads connections over them. */
  readonly shared?: boolean;
  readonly limits?: Partial<ConnectionLimits>;
  /** With one, clients have to speak TLS, and may speak HTTP/2. */
  readonly certificate?: WatchedCertificate | undefined;
  /** How long requests may go on once the listener is disposed. */
  readonly drainTimeoutMs?: number;
  /** Told when a drain will wait no longer: what still runs is to be answered now, and is then cut. */
  readonly lastCall?: () => void;
  readonly log?: Log;
}

/** A bound HTTP server. Disposing it takes no new connection, lets requests end, and then cuts what is left. */
export interface Listener extends AsyncDisposable {
  /** Cuts what a drain still waits for. */
  hurry(): void;
  /** As `host:port`, with the port that was bound. */
  readonly address: string;
  readonly port: number;
}

const DRAIN_POLL_MS = 25;
/** What last answers get to leave the process. */
const LAST_ANSWERS_MS = 1_000;

/** Serves an app over HTTP/1.1, or over TLS and HTTP/2 as well. @throws Error naming the address and the setting, if it cannot be bound */
export async function listen(app: Fetcher, options: ListenOptions): Promise<Listener> {
  const { certificate, log = silentLog } = options;
  const limits = { ...DEFAULT_CONNECTION_LIMITS, ...options.limits };
  const answer = getRequestListener((request, bindings) => app.fetch(request, bindings as HttpBindings), {
    // HTTP/1.0 clients may send no Host.
    hostname: options.host,
    errorHandler: (reason) => unanswered(reason, log),
  });
  const answerAny: Answer = (incoming, outgoing) => void answer(incoming, outgoing);
  const protocols =
    certificate === undefined ? clearProtocols(answerAny, limits) : tlsProtocols(answerAny, limits, certificate);
  const { server } = protocols;
  protocols.http1.on("clientError", refuseConnection(limits.maxHeaderBytes));
  const { port } = await bind(server, options, options.shared);
  const hurried = new AbortController();
  return {
    address: hostAndPort(options.host, port),
    port,
    hurry: () => hurried.abort(),
    [Symbol.asyncDispose]: () => drain(protocols, options, hurried.signal),
  };
}

/** A request that never reached the app, or one that the app let fall. */
function unanswered(reason: unknown, log: Log): Response {
  const callId = newCallId();
  const failure =
    reason instanceof RequestError
      ? new CallError("invalid_request", `Request is malformed: ${reason.message}`, { cause: reason })
      : CallError.from(reason);
  if (failure.code === "internal") log.error("Request failed", { call_id: callId, error: failure });
  const headers = Object.entries(errorHeaders(failure, callId, DEFAULT_LIMITS.retryAfterSeconds)).map(
    ([name, value]): [string, string] => [name, String(value)],
  );
  return new Response(errorBody(failure, callId), { status: failure.status, headers });
}

/** Answers what the HTTP parser could not read, as every other error is answered. */
function refuseConnection(maxHeaderBytes: number): (error: NodeJS.ErrnoException, socket: Duplex) => void {
  return ({ code }, socket) => {
    if (!socket.writable || code === "ECONNRESET") return void socket.destroy();
    const failure = parserFailure(code, maxHeaderBytes);
    const callId = newCallId();
    const body = errorBody(failure, callId) ?? "";
    const fields = {
      ...errorHeaders(failure, callId, DEFAULT_LIMITS.retryAfterSeconds),
      "content-length": Buffer.byteLength(body),
      connection: "close",
    };
    const lines = Object.entries(fields).map(([name, value]) => `${name}: ${String(value)}\r\n`);
    socket.end(`HTTP/1.1 ${failure.status} Refused\r\n${lines.join("")}\r\n${body}`);
  };
}

function parserFailure(code: string | undefined, maxHeaderBytes: number): CallError {
  if (code === "HPE_HEADER_OVERFLOW") {
    return new CallError("invalid_request", `Request headers are over ${maxHeaderBytes} bytes`, { status: 431 });
  }
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") {
    return new CallError("invalid_request", "Request headers did not come in time", { status: 408 });
  }
  return new CallError("invalid_request", "Request is not HTTP");
}

async function drain(protocols: Protocols, options: ListenOptions, hurried: AbortSignal): Promise<void> {
  const { drainTimeoutMs = 30_000, lastCall } = options;
  let closed = false;
  const whenClosed = new Promise<void>((resolve) => {
    protocols.server.close(() => {
      closed = true;
      resolve();
    });
  });
  // A kept-alive connection turns idle with its last answer, which nobody tells. And a timer that counts keeps the
  // process from ending before the drain has.
  const wait = async (ms: number, hurried?: AbortSignal) => {
    const end = performance.now() + ms;
    while (!closed && performance.now() < end && hurried?.aborted !== true) {
      protocols.closeIdle();
      await sleep(DRAIN_POLL_MS);
    }
  };
  await wait(drainTimeoutMs, hurried);
  if (!closed && lastCall !== undefined) {
    lastCall();
    await wait(LAST_ANSWERS_MS);
  }
  protocols.closeAll();
  await whenClosed;
}
