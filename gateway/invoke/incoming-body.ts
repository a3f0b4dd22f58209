import { setImmediate as turn } from "node:timers/promises";

import { CallError } from "../../core/call-error.ts";
import { OFFER_BODY_BYTES } from "../../core/session/frames.ts";
import type { RequestBody } from "../runnerpool/runnerpool.ts";
import type { BodyHolder } from "./body-feed.ts";
import { BodyIntake, tooBig, type IntakeOptions } from "./body-intake.ts";

const EMPTY = new Uint8Array();

/** The body of one request: given whole to middleware and small calls, as a stream to all others, read once. */
export class IncomingBody {
  readonly #holder: () => BodyHolder;
  readonly #options: IntakeOptions;
  #whole: Promise<Uint8Array> | undefined;
  #copy: Promise<ArrayBuffer> | undefined;
  #taken = false;
  #intake: BodyIntake | undefined;

  constructor(holder: () => BodyHolder, options: IntakeOptions) {
    this.#holder = holder;
    this.#options = options;
  }

  /** All of it, however often it is asked for. @throws CallError over the limit, or unreadable */
  whole(): Promise<Uint8Array> {
    if (this.#whole !== undefined) return this.#whole;
    const here = whatIsHere(this.#holder(), this.#options.limits.maxBufferedBytes);
    this.#taken = here !== undefined;
    return (this.#whole = here === undefined ? this.#readWhole() : Promise.resolve(here));
  }

  /** All of it, for middleware, which may do with it what it likes. @throws CallError over the limit, or unreadable */
  copy(): Promise<ArrayBuffer> {
    return (this.#copy ??= this.whole().then((bytes) => new Uint8Array(bytes).buffer));
  }

  /** All of it was here at once, though the server may not know yet that it was all. */
  get taken(): boolean {
    return this.#taken;
  }

  /** Nobody wants the rest of it; who reads it at that moment hears the reason, if there is one. */
  leave(reason?: CallError): void {
    this.#intake?.leave(reason);
  }

  /** As it goes to a runner. @throws CallError over the limit, or unreadable */
  async forOffer(): Promise<RequestBody> {
    const { declaredBytes } = this.#holder();
    const small = declaredBytes !== undefined && declaredBytes <= OFFER_BODY_BYTES;
    if (small || this.#whole !== undefined) return { whole: await this.whole() };
    return readFirst(this.#open());
  }

  async #readWhole(): Promise<Uint8Array> {
    const { maxBufferedBytes } = this.#options.limits;
    const { declaredBytes = 0 } = this.#unread();
    if (declaredBytes > maxBufferedBytes) throw tooBig(declaredBytes, maxBufferedBytes);
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of this.#open()) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > maxBufferedBytes) throw tooBig(bytes, maxBufferedBytes);
    }
    return joined(chunks);
  }

  /** @throws CallError where somebody read it, or a runner gets it as a stream: what is left is not the body */
  #unread(): BodyHolder {
    const holder = this.#holder();
    if (this.#intake !== undefined || holder.raw.bodyUsed) throw new CallError("body_consumed");
    return holder;
  }

  #open(): BodyIntake {
    const holder = this.#unread();
    try {
      return (this.#intake = new BodyIntake(holder, this.#options));
    } catch (cause) {
      throw new CallError("body_consumed", undefined, { cause });
    }
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

/** Takes what has come by now, at most what an offer carries, and leaves the rest for later. */
async function readFirst(body: BodyIntake): Promise<RequestBody> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  do {
    const { done, value } = await body.next();
    if (done) return { whole: joined(chunks) };
    const taken = value.subarray(0, OFFER_BODY_BYTES - bytes);
    chunks.push(taken);
    bytes += taken.length;
    body.putBack(value.subarray(taken.length));
    // What has come already is here within a turn of the event loop.
    if (!body.ready) await turn();
  } while (bytes < OFFER_BODY_BYTES && body.ready);
  body.stream();
  let read = false;
  const rest = (): BodyIntake => {
    if (read) throw new Error("Cannot read a request body twice: it is gone once a runner took the call");
    read = true;
    return body;
  };
  return { stream: { first: joined(chunks), rest } };
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const [only = EMPTY] = chunks;
  return chunks.length <= 1 ? only : Buffer.concat(chunks);
}
