import { CallError } from "../../core/call-error.ts";
import type { Clock } from "../../core/clock.ts";
import { ChunkQueue } from "../runnerpool/chunk-queue.ts";
import { feedBody, type BodyFeed, type BodyHolder, type BodyTaker } from "./body-feed.ts";
import type { InvokeLimits } from "./limits.ts";

export interface IntakeOptions {
  readonly limits: InvokeLimits;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** A body that is being streamed has failed: the call with it. */
  readonly failed: (reason: CallError) => void;
}

/** Held here for a runner that is slow; beyond that the client's connection is not read. */
const QUEUE_BYTES = 128 * 1024;

type Chunk = IteratorResult<Uint8Array, undefined>;

/**
 * A request body on its way in, held to its limits: of bytes, and of the time that a client may take. One timer and one
 * listener watch all of it, however many chunks it comes in. Reading it fails with a CallError.
 */
export class BodyIntake implements BodyTaker, AsyncIterable<Uint8Array>, AsyncIterator<Uint8Array, undefined> {
  readonly #options: IntakeOptions;
  readonly #openedAt: number;
  readonly #queue = new ChunkQueue(QUEUE_BYTES, { room: () => this.#feed?.resume(), abandoned: () => this.leave() });
  readonly #feed: BodyFeed | undefined;
  #streamed = false;
  #settled = false;
  #counted = 0;
  /** Only time in which a streamed body is waited for counts: so long until now, and this wait since then. */
  #waitedMs = 0;
  #waitingSince: number | undefined;
  #cancelTimer = (): void => {};

  /** @throws TypeError where somebody else reads it */
  constructor(holder: BodyHolder, options: IntakeOptions) {
    this.#options = options;
    const { clock, signal, limits } = options;
    this.#openedAt = clock.now();
    this.#feed = feedBody(holder, this);
    if (this.#settled) return;
    this.#cancelTimer = clock.after(limits.bodyReadTimeoutMs, this.#look);
    signal.addEventListener("abort", this.#aborted, { once: true });
    if (signal.aborted) this.#aborted();
  }

  /** From now on it is read as a runner takes it: its client has to keep a pace, and its failure is the call's. */
  stream(): void {
    this.#streamed = true;
    if (this.#options.limits.minBodyBytesPerSecond === 0) this.#cancelTimer();
  }

  /** A read would not wait. */
  get ready(): boolean {
    return this.#queue.ready;
  }

  next(): Promise<Chunk> {
    if (!this.#queue.ready) this.#waitingSince = this.#options.clock.now();
    return this.#queue.next();
  }

  /** Gives back the end of what was read last. */
  putBack(chunk: Uint8Array): void {
    this.#queue.putBack(chunk);
  }

  return(): Promise<Chunk> {
    return this.#queue.return();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Nobody reads the rest. What is asked for fails: a body that was left must not look like one that ended. */
  leave(reason: Error = new Error("nobody wants the rest of the body")): void {
    this.#drop(reason);
  }

  push(chunk: Uint8Array): boolean {
    this.#counted += chunk.length;
    const { clock, limits } = this.#options;
    if (limits.maxRequestBytes > 0 && this.#counted > limits.maxRequestBytes) {
      this.fail(tooBig(this.#counted, limits.maxRequestBytes));
      return false;
    }
    if (this.#waitingSince !== undefined && this.#streamed) this.#waitedMs += clock.now() - this.#waitingSince;
    this.#waitingSince = undefined;
    return this.#queue.push(chunk);
  }

  end(): void {
    this.#settle();
    this.#queue.end();
  }

  fail(cause: unknown): void {
    if (this.#settled) return;
    this.#settle();
    const failure = cause instanceof CallError ? cause : unreadable(cause);
    this.#queue.fail(failure);
    if (this.#streamed) this.#options.failed(failure);
  }

  readonly #aborted = (): void => this.#drop(CallError.from(this.#options.signal.reason));

  readonly #look = (): void => {
    const { clock, limits } = this.#options;
    const leftMs = this.#leftMs();
    if (leftMs > 0) this.#cancelTimer = clock.after(leftMs, this.#look);
    else this.fail(new CallError("request_body_unreadable", tooSlow(this.#streamed, limits), { status: 408 }));
  };

  /** What its client has left: of a streamed body what all its bytes may take at the least rate, beyond what is free. */
  #leftMs(): number {
    const { clock, limits } = this.#options;
    const { bodyReadTimeoutMs, minBodyBytesPerSecond } = limits;
    if (!this.#streamed) return bodyReadTimeoutMs - (clock.now() - this.#openedAt);
    const waitingMs = this.#waitingSince === undefined ? 0 : clock.now() - this.#waitingSince;
    return bodyReadTimeoutMs + (this.#counted / minBodyBytesPerSecond) * 1_000 - this.#waitedMs - waitingMs;
  }

  #drop(reason: Error): void {
    this.#settle();
    this.#feed?.stop();
    this.#queue.abort(reason);
  }

  /** All of it has come, or no more will: nothing is left to watch. */
  #settle(): void {
    this.#settled = true;
    this.#cancelTimer();
    this.#options.signal.removeEventListener("abort", this.#aborted);
  }
}

/** A body over a limit, in bytes. */
export function tooBig(bytes: number, limit: number): CallError {
  return new CallError("request_too_big", `Request content too big: ${bytes} bytes, the most is ${limit}`);
}

function tooSlow(streamed: boolean, { bodyReadTimeoutMs, minBodyBytesPerSecond }: InvokeLimits): string {
  if (streamed) return `Request body came slower than ${minBodyBytesPerSecond} bytes per second`;
  return `Request body did not come within ${bodyReadTimeoutMs} ms`;
}

/** The platform's word for a body that is locked or was read already; a broken connection is another kind. */
function unreadable(cause: unknown): CallError {
  return new CallError(cause instanceof TypeError ? "body_consumed" : "request_body_unreadable", undefined, { cause });
}
