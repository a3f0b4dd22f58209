import { CallError } from "../../core/call-error.ts";
import { pause, type Clock } from "../../core/clock.ts";
import type { ErrorCode } from "../../core/error-codes.ts";
import type { PingTimes } from "../../core/keep-alive.ts";
import type { Log } from "../../core/log.ts";
import { pkiSource, type PkiData, type PkiSource } from "../../core/pki.ts";
import type { Capacity } from "../../core/session/frames.ts";
import { DEFAULT_WINDOWS, type WindowLimits } from "../../core/session/receive-windows.ts";
import { refusalPhrase } from "../../core/tls-refusal.ts";
import { OutgoingCall } from "./outgoing-call.ts";
import { openLink, type LinkOptions, type RunnerLink } from "./runner-link.ts";
import type { CapacityNews, Offer, Runner, RunnerCall, RunnerLabels, RunnerLoad, RunnerStatus } from "./runnerpool.ts";

/**
 * Makes the gateway's side of a runner: the peer's certificate must carry `certCommonName`
 * (in its SAN; in its CN only where it has no SAN), whatever the address.
 */
export type RunnerFactory = (
  address: string,
  certCommonName: string,
  pki: PkiData | PkiSource,
  labels?: RunnerLabels,
) => Runner;

export interface MtlsRunnerOptions {
  readonly gatewayId: string;
  readonly version: string;
  /** Whether runners without isolation may be used: only by a gateway that nobody else can reach. */
  readonly allowNoIsolation: boolean;
  readonly dialTimeoutMs: number;
  readonly ping?: PingTimes;
  /** How long running calls may go on once the runner is disposed, or their connection takes no new ones. */
  readonly drainMs: number;
  /** How much of responses may be under way; as by default, unless told. */
  readonly windows?: WindowLimits;
  readonly clock: Clock;
  readonly log: Log;
  /** How a connection is made: HTTP/2 over mutual TLS, unless told. */
  readonly open?: (options: LinkOptions) => Promise<RunnerLink>;
  /** From 0 to 1: how much of each wait before another dial is left to chance. */
  readonly jitter?: () => number;
}

/** A connection, and whether the runner on it takes no more calls. */
interface LiveLink {
  readonly link: RunnerLink;
  readonly state: { draining: boolean };
}

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 2_000;
const PING: PingTimes = { everyMs: 10_000, timeoutMs: 5_000 };

/** Runners over Connect, HTTP/2 and mutual TLS, each kept connected in the background. */
export function mtlsRunnerFactory(options: MtlsRunnerOptions): RunnerFactory {
  return (address, certCommonName, pki, labels = {}) =>
    new MtlsRunner({ address, certCommonName, labels }, pki, options);
}

/** Which runner it is. */
interface Peer {
  readonly address: string;
  readonly certCommonName: string;
  readonly labels: RunnerLabels;
}

class MtlsRunner implements Runner, RunnerLoad {
  readonly address: string;
  readonly labels: RunnerLabels;
  readonly #options: MtlsRunnerOptions;
  readonly #pki: PkiSource;
  readonly #dial: () => Promise<LiveLink>;
  readonly #listeners = new Set<(news: CapacityNews) => void>();
  readonly #closing = new AbortController();
  readonly #keeping: Promise<void>;
  /** Connections that take no new calls, until their last one has ended. */
  readonly #retired = new Map<RunnerLink, Promise<void>>();
  /** Ends the wait before the next dial. */
  #hurry = new AbortController();
  /** The very first dial, while it is under way: calls may wait for it, for a broken connection they do not. */
  #firstDial: Promise<unknown> | undefined;
  #live: LiveLink | undefined;
  #down: CallError;
  #disposed = false;
  #capacity: Capacity | undefined;
  #toldAt = 0;

  constructor({ address, certCommonName, labels }: Peer, pki: PkiData | PkiSource, options: MtlsRunnerOptions) {
    const { gatewayId, version, dialTimeoutMs, ping = PING, clock, open = openLink } = options;
    const { windows = DEFAULT_WINDOWS } = options;
    this.address = address;
    this.labels = labels;
    this.#options = options;
    this.#pki = pkiSource(pki);
    this.#down = new CallError("runner_unreachable", `Runner ${address} cannot be reached: not connected yet`);
    const fault = (reason: unknown) =>
      options.log.error("A call's answer could not be taken", { runner: address, reason });
    const capacity = (told: Capacity) => this.#told(told);
    this.#dial = async () => {
      const state = { draining: false };
      const draining = () => (state.draining = true);
      const own = { pki: this.#pki.current, gatewayId, version };
      const { signal } = this.#closing;
      const peer = { ...own, address, certCommonName, dialTimeoutMs, signal, ping, windows, clock };
      return { state, link: await open({ ...peer, capacity, draining, fault }) };
    };
    const forget = this.#pki.onChange(() => this.#pkiChanged());
    this.#closing.signal.addEventListener("abort", forget, { once: true });
    this.#keeping = this.#keepConnected();
  }

  get connected(): boolean {
    return this.#live !== undefined;
  }

  /** Itself, not a copy: of many runners each is asked for its load with every call. */
  get load(): RunnerLoad {
    return this;
  }

  get capacity(): Capacity | undefined {
    return this.#capacity;
  }

  get toldAt(): number {
    return this.#toldAt;
  }

  get inFlight(): number {
    return this.#calls;
  }

  get draining(): boolean {
    return this.#disposed || this.#live?.state.draining === true;
  }

  async tryCall(call: RunnerCall, signal: AbortSignal): Promise<Offer> {
    // One bounded detour: a first connection is waited for, a broken one is not.
    if (this.#live === undefined) await unlessAborted(this.#firstDial, signal);
    if (signal.aborted) return refused(CallError.from(signal.reason, "client_cancel"));
    if (this.#live === undefined) return refused(this.#down);
    const { link } = this.#live;
    const unfit = this.#unfit(this.#live);
    if (unfit !== undefined) return refused(unfit);
    const remainingMs = call.deadline - this.#options.clock.now();
    const ended = (placed: boolean, code: ErrorCode | undefined) =>
      this.#tell({ kind: "ended", runner: this, call, placed, code });
    return new OutgoingCall({ runner: this, session: link.session, call, remainingMs, ended }, signal).answer;
  }

  async status(signal: AbortSignal, body?: Uint8Array): Promise<RunnerStatus> {
    if (this.#live === undefined) await unlessAborted(this.#firstDial, signal);
    if (this.#live === undefined) throw this.#down;
    try {
      return await this.#live.link.status(signal, body);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const text = `Runner ${this.address} did not tell its status: ${why}`;
      throw new CallError("runner_unreachable", text, { cause: error });
    }
  }

  onCapacity(hear: (news: CapacityNews) => void): () => void {
    this.#listeners.add(hear);
    return () => this.#listeners.delete(hear);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { clock, drainMs } = this.#options;
    this.#disposed = true;
    const until = clock.now() + drainMs;
    while (this.#calls > 0 && clock.now() < until) await pause(clock, 5);
    this.#closing.abort();
    this.#hurry.abort();
    this.#live?.link.close();
    await this.#keeping;
    await Promise.all(this.#retired.values());
  }

  /** Calls that have not ended. */
  get #calls(): number {
    let calls = this.#live?.link.session.size ?? 0;
    if (this.#retired.size === 0) return calls;
    for (const { session } of this.#retired.keys()) calls += session.size;
    return calls;
  }

  #unfit({ link: { session, hello }, state }: LiveLink): CallError | undefined {
    if (session.over !== undefined) return session.over;
    if (this.#disposed || state.draining || session.exhausted)
      return new CallError("shutting_down", `Runner ${this.address} is draining`);
    if (hello.isolation === "none" && !this.#options.allowNoIsolation) {
      const why = `Runner ${this.address} has no isolation, and this gateway listens beyond loopback`;
      return new CallError("runner_unsafe", why);
    }
    return undefined;
  }

  async #keepConnected(): Promise<void> {
    const { clock, jitter = Math.random } = this.#options;
    const { signal } = this.#closing;
    let retryMs = FIRST_RETRY_MS;
    let first = true;
    while (!signal.aborted) {
      const dialling = this.#dial();
      if (first) this.#firstDial = dialling.catch(() => {});
      first = false;
      try {
        const live = await dialling;
        if (signal.aborted) live.link.close();
        retryMs = FIRST_RETRY_MS;
        const connectedAt = clock.now();
        this.#down = await this.#use(live);
        this.#live = undefined;
        if (this.#retire(live.link) && clock.now() - connectedAt > LAST_RETRY_MS) continue;
      } catch (error) {
        this.#down = CallError.from(error, "runner_unreachable");
        this.#firstDial = undefined;
      }
      if (signal.aborted) return;
      this.#logDown(retryMs);
      this.#hurry = new AbortController();
      await pause(clock, retryMs * (0.5 + jitter()), this.#hurry.signal);
      retryMs = Math.min(retryMs * 2, LAST_RETRY_MS);
    }
  }

  /** Resolves with the reason once the connection takes no new calls. */
  #use(live: LiveLink): Promise<CallError> {
    this.#live = live;
    this.#firstDial = undefined;
    const { runnerId, bootId, version, isolation, capacity } = live.link.hello;
    this.#options.log.info("Runner connected", { runner: this.address, runnerId, bootId, version, isolation });
    live.link.recheck(this.#pki.current.ca);
    this.#told(capacity);
    return live.link.lost;
  }

  /** Lets the calls of a connection end that takes no new ones. False if it is lost anyway. */
  #retire(link: RunnerLink): boolean {
    if (link.session.over !== undefined) return false;
    const draining = this.#drain(link).finally(() => this.#retired.delete(link));
    this.#retired.set(link, draining);
    return true;
  }

  async #drain(link: RunnerLink): Promise<void> {
    const { clock, drainMs, log } = this.#options;
    const { signal } = this.#closing;
    log.info("Runner's connection takes no new calls", {
      runner: this.address,
      reason: this.#down.message,
      calls: link.session.size,
    });
    const until = clock.now() + drainMs;
    while (link.session.size > 0 && clock.now() < until && !signal.aborted) await pause(clock, 10, signal);
    link.close();
  }

  #pkiChanged(): void {
    this.#live?.link.recheck(this.#pki.current.ca);
    // What kept it from connecting may be mended.
    this.#hurry.abort();
  }

  #logDown(retryMs: number): void {
    const phrase = refusalPhrase(this.#down);
    const message = phrase === undefined ? "Runner is not connected" : `Refused a runner: ${phrase}`;
    this.#options.log.warn(message, { runner: this.address, reason: this.#down.message, retry_ms: retryMs });
  }

  #told(capacity: Capacity): void {
    this.#capacity = capacity;
    this.#toldAt = this.#options.clock.now();
    this.#tell({ kind: "told", runner: this });
  }

  #tell(news: CapacityNews): void {
    for (const listener of this.#listeners) listener(news);
  }
}

function refused(reason: CallError): Offer {
  return { placed: false, reason, scope: "this_runner" };
}

/** Waits for the work, but no longer than somebody wants it. */
async function unlessAborted(work: Promise<unknown> | undefined, signal: AbortSignal): Promise<void> {
  if (work === undefined || signal.aborted) return;
  const left = Promise.withResolvers<void>();
  const leave = () => left.resolve();
  signal.addEventListener("abort", leave, { once: true });
  await Promise.race([work, left.promise]);
  signal.removeEventListener("abort", leave);
}
