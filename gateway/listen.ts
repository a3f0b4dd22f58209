import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { isIPv6, type AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";

import { getRequestListener, RequestError, type HttpBindings } from "@hono/node-server";

import { CallError } from "../core/call-error.ts";
import { newCallId } from "../core/call.ts";
import { silentLog, type Log } from "../core/log.ts";
import type { Fetcher } from "./fetcher.ts";
import { errorBody, errorHeaders } from "./invoke/answer-error.ts";
import { DEFAULT_LIMITS } from "./invoke/limits.ts";

export interface ListenOptions {
  /** Name or address to bind. */
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** The settings that these come from, for messages. */
  readonly settings?: { readonly host: string; readonly port: string };
  readonly maxHeaderBytes?: number;
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

/** Serves an app over HTTP/1.1. @throws Error naming the address and the setting, if it cannot be bound */
export async function listen(app: Fetcher, options: ListenOptions): Promise<Listener> {
  const { maxHeaderBytes = 1_048_576, log = silentLog } = options;
  const answer = getRequestListener((request, bindings) => app.fetch(request, bindings as HttpBindings), {
    // HTTP/1.0 clients may send no Host.
    hostname: options.host,
    errorHandler: (reason) => unanswered(reason, log),
  });
  const server = createServer(
    // Calls have deadlines of their own, longer than a limit on the whole request could be.
    { maxHeaderSize: maxHeaderBytes, requestTimeout: 0 },
    (incoming: IncomingMessage, outgoing: ServerResponse) => void answer(incoming, outgoing),
  );
  server.on("clientError", refuseConnection(maxHeaderBytes));
  const { port } = await bind(server, options);
  const hurried = new AbortController();
  return {
    address: hostAndPort(options.host, port),
    port,
    hurry: () => hurried.abort(),
    [Symbol.asyncDispose]: () => drain(server, options, hurried.signal),
  };
}

function bind(server: Server, options: ListenOptions): Promise<AddressInfo> {
  const { host, port } = options;
  return new Promise((resolve, reject) => {
    const failed = (cause: NodeJS.ErrnoException) => reject(new Error(cannotBind(options, cause), { cause }));
    server.once("error", failed);
    server.listen(port, host, () => {
      server.off("error", failed);
      const address = server.address();
      if (typeof address === "object" && address !== null) resolve(address);
    });
  });
}

function cannotBind({ host, port, settings }: ListenOptions, { code, message }: NodeJS.ErrnoException): string {
  const names = settings ?? { host: "FN_BIND", port: "FN_PORT" };
  const address = hostAndPort(host, port);
  if (code === "EADDRINUSE") return `Cannot listen on ${address}: the port is in use, set ${names.port} to another`;
  if (code === "EACCES") return `Cannot listen on ${address}: not permitted, set ${names.port} to 1024 or above`;
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND") {
    return `Cannot listen on ${address}: this machine has no such address, set ${names.host} to one it has`;
  }
  return `Cannot listen on ${address}: ${message}`;
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

async function drain(server: Server, options: ListenOptions, hurried: AbortSignal): Promise<void> {
  const { drainTimeoutMs = 30_000, lastCall } = options;
  let closed = false;
  const whenClosed = new Promise<void>((resolve) => {
    server.close(() => {
      closed = true;
      resolve();
    });
  });
  // A kept-alive connection turns idle with its last answer, which nobody tells. And a timer that counts keeps the
  // process from ending before the drain has.
  const wait = async (ms: number, hurried?: AbortSignal) => {
    const end = performance.now() + ms;
    while (!closed && performance.now() < end && hurried?.aborted !== true) {
      server.closeIdleConnections();
      await sleep(DRAIN_POLL_MS);
    }
  };
  await wait(drainTimeoutMs, hurried);
  if (!closed && lastCall !== undefined) {
    lastCall();
    await wait(LAST_ANSWERS_MS);
  }
  server.closeAllConnections();
  await whenClosed;
}

function hostAndPort(host: string, port: number): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}
