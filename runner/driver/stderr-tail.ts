const TAIL_BYTES = 4_096;
const LINE_END = 0x0a;

/** The end of what a function wrote to stderr, at most 4 KiB of it. */
export class StderrTail {
  readonly #ring = Buffer.alloc(TAIL_BYTES);
  #written = 0;

  push(bytes: Uint8Array): void {
    const last = bytes.subarray(-TAIL_BYTES);
    const at = (this.#written + bytes.length - last.length) % TAIL_BYTES;
    const room = TAIL_BYTES - at;
    this.#ring.set(last.subarray(0, room), at);
    this.#ring.set(last.subarray(room), 0);
    this.#written += bytes.length;
  }

  /** What comes next is not the rest of a line that has begun. @param mark - a line that says why */
  gap(mark: string): void {
    const isInside = this.#written > 0 && this.#ring[(this.#written - 1) % TAIL_BYTES] !== LINE_END;
    this.push(Buffer.from(`${isInside ? "\n" : ""}${mark}\n`));
  }

  /** Whole lines, or the end of one that is longer than all the room there is. */
  text(): string {
    if (this.#written <= TAIL_BYTES) return this.#ring.toString("utf8", 0, this.#written);
    const oldest = this.#written % TAIL_BYTES;
    const last = Buffer.concat([this.#ring.subarray(oldest), this.#ring.subarray(0, oldest)]);
    const lineEnd = last.indexOf("\n");
    const start = lineEnd === TAIL_BYTES - 1 || lineEnd < 0 ? firstWholeCharacter(last) : lineEnd + 1;
    return last.toString("utf8", start);
  }
}

/** UTF-8 marks the bytes inside of a character, at most three of them. */
function firstWholeCharacter(bytes: Buffer): number {
  let start = 0;
  while (start < 3 && ((bytes[start] ?? 0) & 0b1100_0000) === 0b1000_0000) start += 1;
  return start;
}
