import { Buffer } from "node:buffer";

/** Flags and a length stand before each message of a Connect stream. */
export const ENVELOPE_HEAD_BYTES = 5;
/** The last message of a response says in JSON how the stream ended. */
export const END_STREAM = 0b10;

/** The peer's stream is none of Connect's, or not one that we agreed on. */
export class EnvelopeError extends Error {
  override readonly name = "EnvelopeError";
}

/** Cuts a stream of bytes into its messages, which are views of what came where they came in one piece. */
export class EnvelopeReader {
  readonly #maxBytes: number;
  readonly #take: (flags: number, message: Buffer) => void;
  #parts: Buffer[] = [];
  #bytes = 0;
  /** Bytes without which nothing can be cut off. */
  #wanted = ENVELOPE_HEAD_BYTES;

  /** @param maxBytes - of one message */
  constructor(maxBytes: number, take: (flags: number, message: Buffer) => void) {
    this.#maxBytes = maxBytes;
    this.#take = take;
  }

  /** @throws EnvelopeError for a message that is too long, and what `take` throws */
  push(chunk: Buffer): void {
    this.#parts.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes < this.#wanted) return;
    const all = this.#parts.length === 1 ? chunk : Buffer.concat(this.#parts);
    let at = 0;
    this.#wanted = ENVELOPE_HEAD_BYTES;
    while (all.length - at >= ENVELOPE_HEAD_BYTES) {
      const length = all.readUInt32BE(at + 1);
      if (length > this.#maxBytes)
        throw new EnvelopeError(`A message has ${length} bytes, the most is ${this.#maxBytes}`);
      this.#wanted = ENVELOPE_HEAD_BYTES + length;
      if (all.length - at < this.#wanted) break;
      const start = at + ENVELOPE_HEAD_BYTES;
      at += this.#wanted;
      this.#wanted = ENVELOPE_HEAD_BYTES;
      this.#take(all[start - ENVELOPE_HEAD_BYTES] ?? 0, all.subarray(start, at));
    }
    this.#parts = at < all.length ? [all.subarray(at)] : [];
    this.#bytes = all.length - at;
  }

  /** The stream may end here. */
  get between(): boolean {
    return this.#bytes === 0;
  }
}

/** Writes the head of an envelope into the bytes that were left free for it in its first piece. */
export function sealEnvelope(pieces: readonly [Buffer, ...Uint8Array[]], flags: number): void {
  const [first] = pieces;
  const length = pieces.reduce((sum, piece) => sum + piece.length, -ENVELOPE_HEAD_BYTES);
  first[0] = flags;
  first.writeUInt32BE(length, 1);
}
