import { Agent, type ClientRequestArgs } from "node:http";
import { connect, type NetConnectOpts, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { inspect } from "node:util";

import type { Clock } from "../../../core/clock.ts";
import type { EngineEndpoint } from "./engine-endpoint.ts";

export interface EngineAgentOptions {
  readonly endpoint: EngineEndpoint;
  /** Connections that are opened ahead. */
  readonly ahead: number;
  readonly clock: Clock;
}

/** Whoever needs a connection has work to do at once, which would share the processors with the opening of the next. */
const OPEN_AFTER_MS = 1_000;

/**
 * Gives each request to the Engine a connection of its own, some of which are opened ahead: that saves some 0.7 ms, and
 * the start of a container makes five requests. A connection is not used again: on Deno 2.9 a request that is aborted on
 * a used one is sent a second time (denoland/deno#36786), and an aborted "create container" would run twice.
 */
export class EngineAgent extends Agent implements Disposable {
  readonly #target: NetConnectOpts;
  #ahead: number;
  readonly #clock: Clock;
  /** The oldest first, so that none becomes as old as those that Docker closes for having said nothing. */
  readonly #open = new Set<Socket>();
  #cancel: (() => void) | undefined;

  constructor({ endpoint, ahead, clock }: EngineAgentOptions) {
    super({ keepAlive: false });
    this.#target =
      "socketPath" in endpoint ? { path: endpoint.socketPath } : { host: endpoint.host, port: Number(endpoint.port) };
    this.#ahead = ahead;
    this.#clock = clock;
  }

  override createConnection(
    options: ClientRequestArgs,
    callback?: (error: Error | null, connection: Duplex) => void,
  ): Duplex | null | undefined {
    this.#openLater();
    return this.#takeOldest()?.ref() ?? super.createConnection(options, callback);
  }

  /**
   * For a debug line that nobody reads docker-modem renders its options at every request, to any depth: with the sockets
   * of all other requests that took most of a busy runner's time.
   */
  [inspect.custom](): string {
    return "EngineAgent";
  }

  [Symbol.dispose](): void {
    this.#ahead = 0;
    this.#cancel?.();
    for (const connection of this.#open) connection.destroy();
  }

  #takeOldest(): Socket | undefined {
    for (const connection of this.#open) {
      this.#open.delete(connection);
      // What came unasked, such as a proxy's 408 for a request that it waited for, would be taken for the answer.
      if (!connection.destroyed && connection.readableLength === 0) return connection;
      connection.destroy();
    }
    return undefined;
  }

  #openLater(): void {
    if (this.#ahead === 0) return;
    this.#cancel ??= this.#clock.after(OPEN_AFTER_MS, () => {
      this.#cancel = undefined;
      while (this.#open.size < this.#ahead) this.#openOne();
    });
  }

  #openOne(): void {
    const connection = connect(this.#target).unref();
    this.#open.add(connection);
    // An Engine that is away is the next request's to meet.
    connection.on("error", () => {});
    connection.once("close", () => this.#open.delete(connection));
  }
}
