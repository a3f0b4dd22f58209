import { ChunkList } from "../../core/session/chunk-list.ts";

/** What a queue tells whoever fills it. */
export interface ChunkQueueEvents {
  /** There is room again, after a `push` that said there was none. */
  room(): void;
  /** The reader wants no more. */
  abandoned(): void;
}

type Result = IteratorResult<Uint8Array, undefined>;

interface Reader {
  resolve(result: Result): void;
  reject(reason: unknown): void;
}

/** How the chunks ended: well, or with a reason. */
type End = { readonly failed: false } | { readonly failed: true; readonly reason: unknown };

const DONE: Result = { done: true, value: undefined };

/**
 * Chunks that events bring and one reader takes, small ones that wait joined. What came before an end, good or bad, is
 * read before it.
 */
export class ChunkQueue implements AsyncIterableIterator<Uint8Array, undefined> {
  readonly #events: ChunkQueueEvents;
  readonly #fullBytes: number;
  readonly #chunks = new ChunkList();
  #full = false;
  #end: End | undefined;
  #reader: Reader | undefined;

  constructor(fullBytes: number, events: ChunkQueueEvents) {
    this.#fullBytes = fullBytes;
    this.#events = events;
  }

  /** False: the queue is full, and `room` will say when it is not. */
  push(chunk: Uint8Array): boolean {
    if (this.#end !== undefined) return true;
    if (this.#reader !== undefined) {
      this.#takeReader()?.resolve({ done: false, value: chunk });
      return true;
    }
    this.#chunks.push(chunk);
    this.#full = this.#chunks.bytes >= this.#fullBytes;
    return !this.#full;
  }

  end(): void {
    if (this.#end !== undefined) return;
    this.#end = { failed: false };
    this.#takeReader()?.resolve(DONE);
  }

  fail(reason: unknown): void {
    if (this.#end !== undefined) return;
    this.#end = { failed: true, reason };
    this.#takeReader()?.reject(reason);
  }

  /** Fails at once: what is queued is never read. */
  abort(reason: unknown): void {
    // What has ended and was not read to that end is cut short.
    if (this.#chunks.bytes > 0) this.#end = undefined;
    this.#chunks.clear();
    this.fail(reason);
  }

  /** A read would not wait. */
  get ready(): boolean {
    return this.#chunks.bytes > 0 || this.#end !== undefined;
  }

  /** Gives back the end of what was read last, to be read next. */
  putBack(chunk: Uint8Array): void {
    this.#chunks.putBack(chunk);
  }

  next(): Promise<Result> {
    if (this.#reader !== undefined) return Promise.reject(new TypeError("Cannot read: a read is under way"));
    const chunk = this.#chunks.take();
    if (chunk !== undefined) {
      this.#tellRoom();
      return Promise.resolve({ done: false, value: chunk });
    }
    if (this.#end === undefined) return new Promise((resolve, reject) => (this.#reader = { resolve, reject }));
    return this.#end.failed ? Promise.reject(this.#end.reason) : Promise.resolve(DONE);
  }

  return(): Promise<Result> {
    const unread = this.#end === undefined;
    this.#chunks.clear();
    this.end();
    if (unread) this.#events.abandoned();
    return Promise.resolve(DONE);
  }

  async throw(reason: unknown): Promise<Result> {
    await this.return();
    throw reason;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  #takeReader(): Reader | undefined {
    const reader = this.#reader;
    this.#reader = undefined;
    return reader;
  }

  /** Half empty, so that one read does not start and stop the source. */
  #tellRoom(): void {
    if (!this.#full || this.#chunks.bytes > this.#fullBytes / 2) return;
    this.#full = false;
    this.#events.room();
  }
}
