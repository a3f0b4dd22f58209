import type { HeaderList } from "../../core/call.ts";
import { systemClock, type Clock } from "../../core/clock.ts";
import { FunctionConnection, RunningExchange } from "./function-connection.ts";
import { lookAt } from "./socket-ready.ts";

export interface FunctionRequest {
  readonly headers: HeaderList;
  /** Whole, or as it comes: what is there at a time, in pieces that are sent together. */
  readonly body: { readonly whole: Uint8Array } | { readonly stream: AsyncIterable<readonly Uint8Array[]> };
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

/** Speaks the function contract over one container's socket: `POST /call`, a connection for each call that runs. */
export interface FunctionClient {
  send(request: FunctionRequest, handler: AnswerHandler): Exchange;
  close(): Promise<void>;
}

export interface FunctionClientOptions {
  readonly socketPath: string;
  readonly maxHeaderBytes: number;
  readonly clock?: Clock;
}

// Some FDKs close an idle connection after a few seconds, and a POST on a closing one is lost for good.
const IDLE_CONNECTION_MS = 1_000;

/**
 * A client of HTTP/1.1 for this one request over this one socket. In place of undici's, which took twice the CPU time
 * of a small call; `function-client.test.ts` holds both against the same functions.
 */
export function functionClient(options: FunctionClientOptions): FunctionClient {
  return new SocketClient(options);
}

class SocketClient implements FunctionClient {
  readonly #options: FunctionClientOptions;
  readonly #clock: Clock;
  /** The last used is the first to be used again. */
  readonly #idle: FunctionConnection[] = [];
  readonly #open = new Set<FunctionConnection>();
  #sweeping = false;
  #closed = false;

  constructor(options: FunctionClientOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  send(request: FunctionRequest, handler: AnswerHandler): Exchange {
    const exchange = new RunningExchange(handler);
    const warm = this.#idle.pop();
    if (warm !== undefined && this.#clock.now() - warm.idleSince < IDLE_CONNECTION_MS) begin(warm, request, exchange);
    else {
      warm?.close();
      this.#dial(request, exchange);
    }
    return exchange;
  }

  close(): Promise<void> {
    this.#closed = true;
    for (const connection of this.#open) connection.close();
    return Promise.resolve();
  }

  /** Looks again before it dials: what was a socket at the start may lead to another's by now. */
  #dial(request: FunctionRequest, exchange: RunningExchange): void {
    if (this.#closed) return exchange.failed(new Error("the function was removed"));
    const { socketPath, maxHeaderBytes } = this.#options;
    const found = lookAt(socketPath);
    if (typeof found === "object") return exchange.failed(new Error(`its socket became ${found.fault}`));
    const connection = new FunctionConnection({
      socketPath,
      maxHeaderBytes,
      idle: (one) => this.#rests(one),
      closed: (one) => this.#forget(one),
    });
    this.#open.add(connection);
    begin(connection, request, exchange);
  }

  #rests(connection: FunctionConnection): void {
    connection.idleSince = this.#clock.now();
    this.#idle.push(connection);
    this.#sweepLater(IDLE_CONNECTION_MS);
  }

  #forget(connection: FunctionConnection): void {
    this.#open.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  /** One timer for all of a function's calls. */
  #sweepLater(ms: number): void {
    if (this.#sweeping) return;
    this.#sweeping = true;
    this.#clock.after(ms, () => {
      this.#sweeping = false;
      const before = this.#clock.now() - IDLE_CONNECTION_MS;
      // Those that have rested longest are first.
      while (this.#idle[0] !== undefined && this.#idle[0].idleSince <= before) this.#idle.shift()?.close();
      const [next] = this.#idle;
      if (next !== undefined) this.#sweepLater(next.idleSince - before + 1);
    });
  }
}

function begin(connection: FunctionConnection, request: FunctionRequest, exchange: RunningExchange): void {
  try {
    connection.send(request, exchange);
  } catch (error) {
    connection.close();
    exchange.failed(error instanceof Error ? error : new Error(String(error)));
  }
}
