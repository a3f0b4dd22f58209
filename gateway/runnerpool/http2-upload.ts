import type { ClientHttp2Stream } from "node:http2";

/** Writes a request body to its stream, one chunk after another, as fast as the peer takes them. */
export class Http2Upload {
  readonly #stream: ClientHttp2Stream;
  readonly #source: AsyncIterator<Uint8Array>;
  #stopped = false;
  #wake: (() => void) | undefined;

  constructor(stream: ClientHttp2Stream, body: AsyncIterable<Uint8Array>) {
    this.#stream = stream;
    this.#source = body[Symbol.asyncIterator]();
    stream.on("drain", () => this.#wakeUp());
  }

  /** Resolves when all is written or `stop` was called. Rejects with what the body threw. */
  async run(): Promise<void> {
    while (!this.#stopped) {
      const next = await this.#source.next();
      if (this.#stopped) return;
      if (next.done === true) {
        this.#stream.end();
        return;
      }
      if (!this.#stream.write(next.value)) await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** Writes no more, and tells the body so. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#wakeUp();
    // Not waited for: a generator that waits for its next message returns after it.
    void Promise.resolve(this.#source.return?.()).catch(() => {});
  }

  #wakeUp(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
