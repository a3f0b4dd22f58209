import { CallError } from "../../core/call-error.ts";
import { pause, type Clock } from "../../core/clock.ts";
import type { Log } from "../../core/log.ts";
import type { PkiData } from "../../core/pki.ts";
import type { Capacity } from "../../core/session/frames.ts";
import { OutgoingCall } from "./outgoing-call.ts";
import { openLink, type RunnerLink } from "./runner-link.ts";
import type { Offer, Runner, RunnerCall, RunnerStatus } from "./runnerpool.ts";

/**
 * Makes the gateway's side of a runner: the peer's certificate must carry `certCommonName`
 * (in its SAN; in its CN only where it has no SAN), whatever the address.
 */
export type RunnerFactory = (address: string, certCommonName: string, pki: PkiData) => Runner;

export interface MtlsRunnerOptions {
  readonly gatewayId: string;
  readonly version: string;
  /** Whether runners without isolation may be used: only by a gateway that nobody else can reach. */
  readonly allowNoIsolation: boolean;
  readonly dialTimeoutMs: number;
  /** How long running calls may go on once the runner is disposed. */
  readonly drainMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 2_000;

/** Runners over Connect, HTTP/2 and mutual TLS, each kept connected in the background. */
export function mtlsRunnerFactory(options: MtlsRunnerOptions): RunnerFactory {
  return (address, certCommonName, pki) => new MtlsRunner(address, certCommonName, pki, options);
}

class MtlsRunner implements Runner {
  readonly address: string;
  readonly #options: MtlsRunnerOptions;
  readonly #dial: () => Promise<RunnerLink>;
  readonly #listeners = new Set<() => void>();
  readonly #closing = new AbortController();
  readonly #keeping: Promise<void>;
  /** The first answer of a dial that is under way; calls may wait for it. */
  #dialling: Promise<unknown> | undefined;
  #link: RunnerLink | undefined;
  #down: CallError;
  #draining = false;

  constructor(address: string, certCommonName: string, pki: PkiData, options: MtlsRunnerOptions) {
    const { gatewayId, version, dialTimeoutMs, clock } = options;
    this.address = address;
    this.#options = options;
    this.#down = new CallError("runner_unreachable", `Runner ${address} cannot be reached: not connected yet`);
    const wake = (_capacity: Capacity) => this.#wake();
    const draining = () => (this.#draining = true);
    this.#dial = () =>
      openLink({ address, certCommonName, pki, gatewayId, version, dialTimeoutMs, clock, draining, capacity: wake });
    this.#keeping = this.#keepConnected();
  }

  get connected(): boolean {
    return this.#link !== undefined;
  }

  async tryCall(call: RunnerCall, signal: AbortSignal): Promise<Offer> {
    // One bounded detour: a first connection is waited for, a broken one is not.
    if (this.#link === undefined) await this.#dialling;
    const link = this.#link;
    if (link === undefined) return refused(this.#down);
    if (signal.aborted) return refused(CallError.from(signal.reason, "client_cancel"));
    const unfit = this.#unfit(link);
    if (unfit !== undefined) return refused(unfit);
    const remainingMs = call.deadline - this.#options.clock.now();
    return new OutgoingCall(this, link.session, call, remainingMs, signal).answer;
  }

  async status(signal: AbortSignal): Promise<RunnerStatus> {
    if (this.#link === undefined) await this.#dialling;
    if (this.#link === undefined) throw this.#down;
    try {
      return await this.#link.status(signal);
    } catch (error) {
      throw CallError.from(error, "runner_unreachable");
    }
  }

  onCapacity(wake: () => void): () => void {
    this.#listeners.add(wake);
    return () => this.#listeners.delete(wake);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { clock, drainMs } = this.#options;
    this.#draining = true;
    const until = clock.now() + drainMs;
    while ((this.#link?.session.size ?? 0) > 0 && clock.now() < until) await pause(clock, 5);
    this.#closing.abort();
    this.#link?.close();
    await this.#keeping;
  }

  #unfit({ session, hello }: RunnerLink): CallError | undefined {
    if (session.over !== undefined) return session.over;
    if (this.#draining || session.exhausted)
      return new CallError("shutting_down", `Runner ${this.address} is draining`);
    if (hello.isolation === "none" && !this.#options.allowNoIsolation) {
      const why = `Runner ${this.address} has no isolation, and this gateway listens beyond loopback`;
      return new CallError("runner_unsafe", why);
    }
    return undefined;
  }

  async #keepConnected(): Promise<void> {
    const { clock, log } = this.#options;
    const { signal } = this.#closing;
    let retryMs = FIRST_RETRY_MS;
    while (!signal.aborted) {
      const dialling = this.#dial();
      this.#dialling = dialling.catch(() => {});
      try {
        const link = await dialling;
        if (signal.aborted) link.close();
        retryMs = FIRST_RETRY_MS;
        this.#link = link;
        this.#dialling = undefined;
        this.#draining = false;
        const { runnerId, bootId, version, isolation } = link.hello;
        log.info("Runner connected", { runner: this.address, runnerId, bootId, version, isolation });
        this.#wake();
        this.#down = await link.lost;
        this.#link = undefined;
      } catch (error) {
        this.#down = CallError.from(error, "runner_unreachable");
        this.#dialling = undefined;
      }
      if (signal.aborted) return;
      log.warn("Runner is not connected", { runner: this.address, reason: this.#down.message, retry_ms: retryMs });
      await pause(clock, retryMs * (0.5 + Math.random()), signal);
      retryMs = Math.min(retryMs * 2, LAST_RETRY_MS);
    }
  }

  #wake(): void {
    for (const listener of this.#listeners) listener();
  }
}

function refused(reason: CallError): Offer {
  return { placed: false, reason, scope: "this_runner" };
}
