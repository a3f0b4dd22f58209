import type { Buffer } from "node:buffer";

import { Pieces } from "./pieces.ts";

/** Flags and a length stand before each message of a Connect stream. */
export const ENVELOPE_HEAD_BYTES = 5;
/** The last message of a response says in JSON how the stream ended. */
export const END_STREAM = 0b10;

/** The peer's stream is none of Connect's, or not one that we agreed on. */
export class EnvelopeError extends Error {
  override readonly name = "EnvelopeError";
}

/** Cuts a stream of bytes into its messages, which are views of the pieces that it came in. */
export class EnvelopeReader {
  readonly #maxBytes: number;
  readonly #take: (flags: number, message: Buffer[]) => void;
  readonly #came = new Pieces();
  /** Bytes without which nothing can be cut off. */
  #wanted = ENVELOPE_HEAD_BYTES;

  /** @param maxBytes - of one message */
  constructor(maxBytes: number, take: (flags: number, message: Buffer[]) => void) {
    this.#maxBytes = maxBytes;
    this.#take = take;
  }

  /** @throws EnvelopeError for a message that is too long, and what `take` throws */
  push(chunk: Buffer): void {
    this.#came.push(chunk);
    while (this.#came.length >= this.#wanted) {
      const head = this.#came.peek(ENVELOPE_HEAD_BYTES);
      const length = head.readUInt32BE(1);
      if (length > this.#maxBytes)
        throw new EnvelopeError(`A message has ${length} bytes, the most is ${this.#maxBytes}`);
      this.#wanted = ENVELOPE_HEAD_BYTES + length;
      if (this.#came.length < this.#wanted) return;
      this.#wanted = ENVELOPE_HEAD_BYTES;
      this.#came.take(ENVELOPE_HEAD_BYTES);
      this.#take(head[0] ?? 0, this.#came.take(length));
    }
  }

  /** The stream may end here. */
  get between(): boolean {
    return this.#came.length === 0;
  }
}

/** Writes the head of an envelope into the bytes that were left free for it in its first piece. */
export function sealEnvelope(pieces: readonly [Buffer, ...Uint8Array[]], flags: number): void {
  const [first] = pieces;
  const length = pieces.reduce((sum, piece) => sum + piece.length, -ENVELOPE_HEAD_BYTES);
  first[0] = flags;
  first.writeUInt32BE(length, 1);
}
