import { ChunkList } from "../../core/session/chunk-list.ts";

/** A request body on its way to the function: read once, in order, as fast as the function takes it. */
export class BodyInbox {
  readonly #consumed: (bytes: number) => void;
  #first: Uint8Array;
  readonly #chunks = new ChunkList();
  #ended = false;
  #failure: Error | undefined;
  #wake: () => void = () => {};

  /** @param consumed - told of bytes that came after `first` and have left memory */
  constructor(first: Uint8Array, consumed: (bytes: number) => void) {
    this.#first = first;
    this.#consumed = consumed;
  }

  push(bytes: Uint8Array, end: boolean): void {
    this.#chunks.push(bytes);
    this.#ended = end;
    this.#wake();
  }

  /** Ends the reading with an error: the body will never be whole. */
  fail(reason: Error): void {
    if (this.#ended) return;
    this.#failure ??= reason;
    this.#chunks.clear();
    this.#wake();
  }

  /** Each time all that has come by then, in the pieces it came in, small ones joined. */
  async *read(): AsyncGenerator<readonly Uint8Array[]> {
    if (this.#first.length > 0) yield [this.#first];
    this.#first = new Uint8Array();
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const { bytes } = this.#chunks;
      if (bytes > 0) {
        yield this.#chunks.takeAll();
        this.#consumed(bytes);
      } else if (this.#ended) {
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}
