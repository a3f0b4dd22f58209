/** Longer lines come in pieces of this size. */
export const LONGEST_LINE_BYTES = 8_192;

export type OnPiece = (bytes: Buffer, partial: boolean) => void;

/** Cuts a stream into lines, without their ends. Holds no more than one line. */
export class LineSplitter {
  #rest: Buffer = Buffer.alloc(0);

  push(bytes: Buffer, onPiece: OnPiece): void {
    let left = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    for (;;) {
      const lineEnd = left.subarray(0, LONGEST_LINE_BYTES + 1).indexOf("\n");
      if (lineEnd < 0 && left.length <= LONGEST_LINE_BYTES) break;
      const cut = lineEnd < 0 ? wholeCharacters(left, LONGEST_LINE_BYTES) : lineEnd;
      onPiece(left.subarray(0, cut), lineEnd < 0);
      left = left.subarray(lineEnd < 0 ? cut : cut + 1);
    }
    // A copy: the view would keep all of what it came in.
    this.#rest = Buffer.from(left);
  }

  /** A line has begun and not ended. */
  get isInside(): boolean {
    return this.#rest.length > 0;
  }

  /** Gives the line that has not ended, as a whole one. */
  flush(onPiece: OnPiece): void {
    const rest = this.#rest;
    this.drop();
    if (rest.length > 0) onPiece(rest, false);
  }

  drop(): void {
    if (this.#rest.length > 0) this.#rest = Buffer.alloc(0);
  }
}

/** At most `most` of the bytes, without the beginning of a character of UTF-8 at their end. */
export function wholeCharacters(bytes: Buffer, most: number): number {
  if (bytes.length <= most) return bytes.length;
  let end = most;
  while (end > most - 3 && end > 0 && isInside(bytes[end])) end -= 1;
  return isInside(bytes[end]) ? most : end;
}

/** UTF-8 marks the bytes inside of a character. */
function isInside(byte = 0): boolean {
  return (byte & 0b1100_0000) === 0b1000_0000;
}
