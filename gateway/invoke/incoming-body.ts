import type { IncomingMessage } from "node:http";
import { setImmediate as turn } from "node:timers/promises";

import { CallError } from "../../core/call-error.ts";
import type { Clock } from "../../core/clock.ts";
import { OFFER_BODY_BYTES } from "../../core/session/frames.ts";
import type { BodySource, RequestBody } from "../runnerpool/runnerpool.ts";
import type { InvokeLimits } from "./limits.ts";
import { requestChunks, type BodyChunks } from "./request-chunks.ts";

/** Where the body is now: middleware may put another request in the place of the client's. */
export interface BodyHolder {
  readonly raw: Request;
  /** What the client declared; undefined where it said nothing, or another request took its place. */
  readonly declaredBytes: number | undefined;
  /** The HTTP server's own request, where its body is still its own. */
  readonly incoming: IncomingMessage | undefined;
}

interface BodyOptions {
  readonly limits: InvokeLimits;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** A body that is being streamed has failed: the call with it. */
  readonly failed: (reason: CallError) => void;
}

type Chunk = IteratorResult<Uint8Array, undefined>;

const EMPTY = new Uint8Array();

/** The body of one request: given whole to middleware and small calls, as a stream to all others, read once. */
export class IncomingBody {
  readonly #holder: () => BodyHolder;
  readonly #options: BodyOptions;
  #whole: Promise<Uint8Array> | undefined;
  #copy: Promise<ArrayBuffer> | undefined;
  #taken = false;
  #chunks: BodyChunks | undefined;
  #counted = 0;
  #waitedMs = 0;

  constructor(holder: () => BodyHolder, options: BodyOptions) {
    this.#holder = holder;
    this.#options = options;
  }

  /** All of it, however often it is asked for. @throws CallError over the limit, or unreadable */
  whole(): Promise<Uint8Array> {
    if (this.#whole !== undefined) return this.#whole;
    const here = whatIsHere(this.#holder(), this.#options.limits.maxBufferedBytes);
    this.#taken = here !== undefined;
    return (this.#whole = here === undefined ? this.#inTime(this.#readWhole()) : Promise.resolve(here));
  }

  /** All of it, for middleware, which may do with it what it likes. @throws CallError over the limit, or unreadable */
  copy(): Promise<ArrayBuffer> {
    return (this.#copy ??= this.whole().then((bytes) => new Uint8Array(bytes).buffer));
  }

  /** All of it was here at once, though the server may not know yet that it was all. */
  get taken(): boolean {
    return this.#taken;
  }

  /** Nobody wants the rest of it. */
  leave(): void {
    this.#chunks?.leave();
  }

  /** As it goes to a runner. @throws CallError over the limit, or unreadable */
  async forOffer(): Promise<RequestBody> {
    const { declaredBytes } = this.#holder();
    const small = declaredBytes !== undefined && declaredBytes <= OFFER_BODY_BYTES;
    if (small || this.#whole !== undefined) return { whole: await this.whole() };
    return this.#inTime(this.#readFirst(this.#open()));
  }

  async #readWhole(): Promise<Uint8Array> {
    const { raw, declaredBytes } = this.#unread();
    const { maxBufferedBytes } = this.#options.limits;
    if (declaredBytes !== undefined) {
      if (declaredBytes > maxBufferedBytes) throw tooBig(declaredBytes, maxBufferedBytes);
      // Much cheaper than a stream, and the HTTP parser holds the client to what it declared.
      return new Uint8Array(await this.#read(() => raw.arrayBuffer()));
    }
    const source = this.#open();
    const chunks: Uint8Array[] = [];
    for (let chunk = await this.#next(source); !chunk.done; chunk = await this.#next(source)) {
      chunks.push(chunk.value);
      if (this.#counted > maxBufferedBytes) throw tooBig(this.#counted, maxBufferedBytes);
    }
    return joined(chunks);
  }

  /** Takes what has come by now, at most what an offer carries, and leaves the rest for later. */
  async #readFirst(source: BodyChunks | undefined): Promise<RequestBody> {
    if (source === undefined) return { whole: EMPTY };
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    let pending = this.#next(source);
    do {
      const chunk = await pending;
      if (chunk.done) return { whole: joined(chunks) };
      chunks.push(chunk.value);
      bytes += chunk.value.length;
      pending = this.#next(source);
      // Without a handler its failure, which is told later, would end the process.
      pending.catch(() => {});
    } while (bytes < OFFER_BODY_BYTES && (await settled(pending)));
    return { stream: this.#source(joined(chunks), pending, source) };
  }

  #source(start: Uint8Array, pending: Promise<Chunk>, source: BodyChunks): BodySource {
    let read = false;
    return {
      first: start.subarray(0, OFFER_BODY_BYTES),
      rest: () => {
        if (read) throw new Error("Cannot read a request body twice: it is gone once a runner took the call");
        read = true;
        return this.#rest(start.subarray(OFFER_BODY_BYTES), pending, source);
      },
    };
  }

  async *#rest(left: Uint8Array, pending: Promise<Chunk>, source: BodyChunks): AsyncGenerator<Uint8Array, void, void> {
    try {
      if (left.length > 0) yield left;
      for (let chunk = await this.#paced(pending); !chunk.done; chunk = await this.#paced(this.#next(source))) {
        yield chunk.value;
      }
    } catch (reason) {
      const failure = CallError.from(reason);
      this.#options.failed(failure);
      throw failure;
    }
  }

  /** @throws CallError where somebody read it, or a runner gets it as a stream: what is left is not the body */
  #unread(): BodyHolder {
    const holder = this.#holder();
    if (this.#chunks !== undefined || holder.raw.bodyUsed) throw new CallError("body_consumed");
    return holder;
  }

  #open(): BodyChunks | undefined {
    const { raw, incoming } = this.#unread();
    try {
      return (this.#chunks = requestChunks(raw, incoming));
    } catch (cause) {
      throw new CallError("body_consumed", undefined, { cause });
    }
  }

  /**
   * Waits for a chunk no longer than the client has left: what all its bytes may take at the least rate, beyond what it
   * gets for nothing. Only time that is spent waiting for it counts.
   */
  async #paced(chunk: Promise<Chunk>): Promise<Chunk> {
    const { clock, limits } = this.#options;
    const { bodyReadTimeoutMs, minBodyBytesPerSecond } = limits;
    if (minBodyBytesPerSecond === 0) return chunk;
    const startedAt = clock.now();
    const allowedMs = bodyReadTimeoutMs + (this.#counted / minBodyBytesPerSecond) * 1_000;
    try {
      const message = `Request body came slower than ${minBodyBytesPerSecond} bytes per second`;
      return await this.#inTime(chunk, { ms: allowedMs - this.#waitedMs, message });
    } finally {
      this.#waitedMs += clock.now() - startedAt;
    }
  }

  async #next(source: BodyChunks | undefined): Promise<Chunk> {
    if (source === undefined) return { done: true, value: undefined };
    const chunk = await this.#read(() => source.next());
    this.#counted += chunk.value?.length ?? 0;
    const { maxRequestBytes } = this.#options.limits;
    if (maxRequestBytes > 0 && this.#counted > maxRequestBytes) throw tooBig(this.#counted, maxRequestBytes);
    return chunk;
  }

  async #read<T>(read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (cause) {
      // The platform's word for a body that is locked or was read already; a broken connection is another kind.
      throw new CallError(cause instanceof TypeError ? "body_consumed" : "request_body_unreadable", undefined, {
        cause,
      });
    }
  }

  /** Bounds the wait for a client that sends slowly, or has left. */
  #inTime<T>(work: Promise<T>, pace?: { readonly ms: number; readonly message: string }): Promise<T> {
    const { signal, clock, limits } = this.#options;
    const { ms, message } = pace ?? {
      ms: limits.bodyReadTimeoutMs,
      message: `Request body did not come within ${limits.bodyReadTimeoutMs} ms`,
    };
    return new Promise((resolve, reject) => {
      const left = () => reject(CallError.from(signal.reason));
      const late = () => {
        reject(new CallError("request_body_unreadable", message, { status: 408 }));
      };
      const cancelTimer = clock.after(ms, late);
      signal.addEventListener("abort", left, { once: true });
      work.then(resolve, reject).finally(() => {
        cancelTimer();
        signal.removeEventListener("abort", left);
      });
      if (signal.aborted) left();
    });
  }
}

/**
 * A small body that came with its head, as most do: it is taken without waiting, and without a clock for the wait. That
 * it was the last of its request, the HTTP parser says only after all that runs now.
 */
function whatIsHere({ raw, declaredBytes, incoming }: BodyHolder, maxBufferedBytes: number): Uint8Array | undefined {
  if (declaredBytes === 0) return EMPTY;
  if (declaredBytes === undefined || declaredBytes > Math.min(OFFER_BODY_BYTES, maxBufferedBytes)) return undefined;
  if (incoming === undefined || incoming.readableDidRead || raw.bodyUsed) return undefined;
  if (incoming.readableLength !== declaredBytes) return undefined;
  const bytes: unknown = incoming.read();
  if (!(bytes instanceof Uint8Array)) return undefined;
  // To its end, or it would count as a request that nobody reads.
  incoming.resume();
  return bytes;
}

/** A body over a limit, in bytes. */
export function tooBig(bytes: number, limit: number): CallError {
  return new CallError("request_too_big", `Request content too big: ${bytes} bytes, the most is ${limit}`);
}

/** Whether a promise settles within a turn of the event loop: what has come already does. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  return Promise.race([promise.then(() => true), turn(false)]).catch(() => true);
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const [only = EMPTY] = chunks;
  return chunks.length <= 1 ? only : Buffer.concat(chunks);
}
