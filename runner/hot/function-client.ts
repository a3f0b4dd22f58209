import type { Readable } from "node:stream";

import { buildConnector, Pool, type Dispatcher } from "undici";

import type { HeaderList } from "../../core/call.ts";
import { lookAt } from "./socket-ready.ts";

export interface FunctionRequest {
  readonly headers: HeaderList;
  readonly body: { readonly whole: Uint8Array } | { readonly stream: AsyncIterable<Uint8Array> };
}

/** What a function answers, as it comes. `end` or `failed` is the last. */
export interface AnswerHandler {
  /** The function may see the request from now on; what fails before has not reached it. */
  begun(): void;
  head(status: number, headers: HeaderList): void;
  /** False: send no more until `resume`. */
  data(bytes: Uint8Array): boolean;
  end(): void;
  failed(error: Error): void;
}

export interface Exchange {
  resume(): void;
  /** Ends the exchange and its connection; `failed` is told `reason`. */
  abort(reason: Error): void;
}

/** Speaks the function contract over one container's socket: `POST /call`, one request at a time on a connection. */
export interface FunctionClient {
  send(request: FunctionRequest, handler: AnswerHandler): Exchange;
  close(): Promise<void>;
}

export interface FunctionClientOptions {
  readonly socketPath: string;
  readonly maxHeaderBytes: number;
  /** Requests at the same time; more wait for each other. */
  readonly connections: number;
}

// Some FDKs close an idle connection after a few seconds, and a POST on a closing one is lost for good.
const IDLE_CONNECTION_MS = 1_000;

export function functionClient({ socketPath, maxHeaderBytes, connections }: FunctionClientOptions): FunctionClient {
  const client = new Pool("http://localhost", {
    connections,
    connect: dialler(socketPath),
    pipelining: 1,
    keepAliveTimeout: IDLE_CONNECTION_MS,
    keepAliveMaxTimeout: IDLE_CONNECTION_MS,
    maxHeaderSize: maxHeaderBytes,
    // The call has clocks of its own.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  return {
    send(request, handler) {
      const exchange = new RunningExchange(handler);
      client.dispatch(dispatchOptions(request), exchange);
      return exchange;
    },
    close: () => client.destroy(),
  };
}

/** Looks again before it dials: what was a socket at the start may lead to another's by now. */
function dialler(socketPath: string): buildConnector.connector {
  const dial = buildConnector({ socketPath });
  const lookAndDial: (...args: Parameters<typeof dial>) => Promise<void> = async (options, done) => {
    const found = await lookAt(socketPath);
    if (typeof found === "object") done(new Error(`its socket became ${found.fault}`), null);
    else dial(options, done);
  };
  return (options, done) => void lookAndDial(options, done);
}

function dispatchOptions({ headers, body }: FunctionRequest): Dispatcher.DispatchOptions {
  const flat: string[] = [];
  for (const [name, value] of headers) flat.push(name, value);
  // undici takes an async iterable, though its types do not say so; a Readable would buffer ahead of the function.
  const content = "whole" in body ? body.whole : (body.stream as unknown as Readable);
  return { path: "/call", method: "POST", headers: flat, body: content };
}

class RunningExchange implements Exchange, Dispatcher.DispatchHandler {
  readonly #handler: AnswerHandler;
  #controller: Dispatcher.DispatchController | undefined;
  #aborted: Error | undefined;

  constructor(handler: AnswerHandler) {
    this.#handler = handler;
  }

  resume(): void {
    this.#controller?.resume();
  }

  abort(reason: Error): void {
    this.#aborted ??= reason;
    this.#controller?.abort(reason);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#aborted !== undefined) controller.abort(this.#aborted);
    else this.#handler.begun();
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    // An informational answer announces the real one.
    if (status >= 200) this.#handler.head(status, headerList(controller.rawHeaders));
  }

  onResponseData(controller: Dispatcher.DispatchController, bytes: Buffer): void {
    if (!this.#handler.data(bytes)) controller.pause();
  }

  onResponseEnd(): void {
    this.#handler.end();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#handler.failed(this.#aborted ?? error);
  }
}

function headerList(raw: unknown): HeaderList {
  const fields: [string, string][] = [];
  if (!Array.isArray(raw)) return fields;
  for (let i = 0; i + 1 < raw.length; i += 2) fields.push([text(raw[i]), text(raw[i + 1])]);
  return fields;
}

function text(value: unknown): string {
  return Buffer.isBuffer(value) ? value.toString("latin1") : String(value);
}
