/** A chunk below this is joined with small ones that wait beside it; what is larger costs more to copy than to keep. */
const SMALL_BYTES = 4 * 1024;
/** Most that small chunks are joined to. */
const JOINED_BYTES = 16 * 1024;
const FIRST_JOINED_BYTES = 1024;

/** Small chunks at the end of a list: one as it came, which has no room for more, or several in memory of their own. */
interface Tail {
  memory: Uint8Array;
  /** How much of it is filled. */
  length: number;
}

/**
 * The bytes of a body that wait, in their order. Whoever sends it a byte at a time must not make an entry of each: small
 * chunks are joined while they wait. What was taken is never written over.
 */
export class ChunkList {
  /** What nothing is appended to. */
  #chunks: Uint8Array[] = [];
  /** Comes after them. */
  #tail: Tail | undefined;
  #bytes = 0;

  /** In all chunks. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Appends bytes that must not change afterwards. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#bytes += chunk.length;
    if (chunk.length >= SMALL_BYTES) {
      this.#seal();
      this.#chunks.push(chunk);
      return;
    }
    const tail = this.#tail;
    if (tail !== undefined && tail.length + chunk.length <= JOINED_BYTES) return append(tail, chunk);
    this.#seal();
    this.#tail = { memory: chunk, length: chunk.length };
  }

  /** Takes off what comes first, as far as it lies in one piece and at most so many bytes; undefined for nothing. */
  take(mostBytes = Infinity): Uint8Array | undefined {
    if (this.#chunks.length === 0) this.#seal();
    const [first] = this.#chunks;
    if (first === undefined || mostBytes <= 0) return undefined;
    const whole = first.length <= mostBytes;
    const taken = whole ? first : first.subarray(0, mostBytes);
    if (whole) this.#chunks.shift();
    else this.#chunks[0] = first.subarray(mostBytes);
    this.#bytes -= taken.length;
    return taken;
  }

  /** Gives back the end of what was taken last. */
  putBack(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#bytes += chunk.length;
    this.#chunks.unshift(chunk);
  }

  /** Takes off everything. */
  takeAll(): Uint8Array[] {
    this.#seal();
    const all = this.#chunks;
    this.clear();
    return all;
  }

  clear(): void {
    this.#chunks = [];
    this.#tail = undefined;
    this.#bytes = 0;
  }

  /** Nothing more is appended to what the tail holds. */
  #seal(): void {
    if (this.#tail === undefined) return;
    const { memory, length } = this.#tail;
    this.#chunks.push(memory.length === length ? memory : memory.subarray(0, length));
    this.#tail = undefined;
  }
}

function append(tail: Tail, chunk: Uint8Array): void {
  const length = tail.length + chunk.length;
  if (length > tail.memory.length) {
    const larger = new Uint8Array(Math.min(JOINED_BYTES, Math.max(FIRST_JOINED_BYTES, 2 * length)));
    larger.set(tail.memory.subarray(0, tail.length));
    tail.memory = larger;
  }
  tail.memory.set(chunk, tail.length);
  tail.length = length;
}
