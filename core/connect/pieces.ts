import { Buffer } from "node:buffer";

const NOTHING = Buffer.alloc(0);

/** Bytes in the pieces they came in, taken off from the front. */
export class Pieces {
  readonly #pieces: Buffer[] = [];
  #length = 0;

  constructor(pieces: readonly Buffer[] = []) {
    for (const piece of pieces) this.push(piece);
  }

  get length(): number {
    return this.#length;
  }

  push(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#pieces.push(piece);
    this.#length += piece.length;
  }

  /** The next so many bytes, or all there are, which stay the next: copied only where they came in several pieces. */
  peek(bytes: number): Buffer {
    const [first = NOTHING] = this.#pieces;
    if (first.length >= bytes || this.#pieces.length === 1) return first.subarray(0, bytes);
    const views: Buffer[] = [];
    for (let left = bytes, i = 0; left > 0 && i < this.#pieces.length; i++) {
      const view = (this.#pieces[i] ?? NOTHING).subarray(0, left);
      views.push(view);
      left -= view.length;
    }
    return Buffer.concat(views);
  }

  /** Takes off the next so many bytes, or all there are, as views of the pieces they lie in. */
  take(bytes: number): Buffer[] {
    const taken: Buffer[] = [];
    let left = Math.min(bytes, this.#length);
    this.#length -= left;
    while (left > 0) {
      const [first = NOTHING] = this.#pieces;
      taken.push(first.length > left ? first.subarray(0, left) : first);
      if (first.length > left) this.#pieces[0] = first.subarray(left);
      else this.#pieces.shift();
      left -= Math.min(left, first.length);
    }
    return taken;
  }
}
