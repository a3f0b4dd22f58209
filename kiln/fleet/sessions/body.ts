import { promised } from "../broken-promise.ts";
import type { Chance } from "../chance.ts";

const PAPER = new Uint8Array(1 << 20);
const LONGEST = 12_000;

/**
 * The bytes of one body: a stretch of one large array. Nothing on the way copies them, so where a piece lies says
 * which body it is of and where in it it belongs.
 */
export class Body {
  readonly length: number;
  readonly #start: number;
  #sent = 0;
  #received = 0;

  constructor(chance: Chance) {
    this.length = chance.happens(0.3) ? 0 : chance.below(LONGEST);
    this.#start = chance.below(PAPER.length - LONGEST);
  }

  get unsent(): number {
    return this.length - this.#sent;
  }

  get sent(): number {
    return this.#sent;
  }

  get received(): number {
    return this.#received;
  }

  send(bytes: number): Uint8Array {
    const at = this.#start + this.#sent;
    this.#sent += bytes;
    return PAPER.subarray(at, at + bytes);
  }

  receive(bytes: Uint8Array, who: string): void {
    const inPlace = bytes.buffer === PAPER.buffer && bytes.byteOffset === this.#start + this.#received;
    promised(bytes.length === 0 || inPlace, `${who} got bytes of another call, or out of their order`);
    this.#received += bytes.length;
    promised(this.#received <= this.#sent, `${who} got more bytes than were sent`);
  }

  /** Another try begins from the first byte. */
  rewind(): void {
    this.#sent = 0;
    this.#received = 0;
  }
}
