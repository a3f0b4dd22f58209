import { promised } from "../broken-promise.ts";
import { chance as chanceOf, type Chance } from "../chance.ts";

const PAPER = noise(1 << 20);
const LONGEST = 12_000;

/** The bytes of one body: a stretch of noise, so that what a piece holds says which body it is of and where it belongs. */
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
    const at = this.#start + this.#received;
    const same = Buffer.compare(bytes, PAPER.subarray(at, at + bytes.length)) === 0;
    promised(same, `${who} got bytes of another call, or out of their order`);
    this.#received += bytes.length;
    promised(this.#received <= this.#sent, `${who} got more bytes than were sent`);
  }

  /** Another try begins from the first byte. */
  rewind(): void {
    this.#sent = 0;
    this.#received = 0;
  }
}

function noise(bytes: number): Uint8Array {
  const { below } = chanceOf(1);
  return Uint8Array.from({ length: bytes }, () => below(256));
}
