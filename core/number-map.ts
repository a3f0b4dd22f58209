/** Least places, as a power of two; more are made when half of them are taken. */
const LEAST_BITS = 4;

/** The golden ratio as 32 bits: its multiples lie far from each other, whatever part of them is there. */
const SPREAD = 0x9e3779b1;

/**
 * A map by numbers that are given out in turn, such as those of calls, for entries that come and go all the time.
 * A `Map` makes a new table for every few of them, and each old table points to the next: once V8 holds one of them for
 * old, its young collections keep all that follow, and the calls in them, until it looks at the whole heap. Here
 * entries are written over in place, and spread: those that stay for long would else stand in one row, along which all
 * that come by would be looked for.
 */
export class NumberMap<T extends object> {
  #bits = LEAST_BITS;
  #numbers = Array.from({ length: 2 ** LEAST_BITS }, () => 0);
  #values = Array.from<T | undefined>({ length: 2 ** LEAST_BITS });
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(number: number): T | undefined {
    return this.#values[this.#place(number)];
  }

  has(number: number): boolean {
    return this.get(number) !== undefined;
  }

  set(number: number, value: T): void {
    let place = this.#place(number);
    if (this.#values[place] === undefined) {
      if ((this.#size + 1) * 2 > this.#values.length) {
        this.#grow();
        place = this.#place(number);
      }
      this.#size += 1;
    }
    this.#numbers[place] = number;
    this.#values[place] = value;
  }

  delete(number: number): boolean {
    const mask = this.#values.length - 1;
    let hole = this.#place(number);
    if (this.#values[hole] === undefined) return false;
    this.#size -= 1;
    // Those behind it that are not where they belong move up, so that each is found from there without a gap.
    for (let next = (hole + 1) & mask; this.#values[next] !== undefined; next = (next + 1) & mask) {
      const home = this.#home(this.#numbers[next] ?? 0);
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      this.#numbers[hole] = this.#numbers[next] ?? 0;
      this.#values[hole] = this.#values[next];
      hole = next;
    }
    this.#values[hole] = undefined;
    return true;
  }

  clear(): void {
    this.#values.fill(undefined);
    this.#size = 0;
  }

  /** In no order, over those that are here when it begins: a deletion moves others. */
  [Symbol.iterator](): Iterator<[number, T]> {
    const entries: [number, T][] = [];
    for (const [place, value] of this.#values.entries()) {
      if (value !== undefined) entries.push([this.#numbers[place] ?? 0, value]);
    }
    return entries.values();
  }

  values(): T[] {
    return this.#values.filter((value) => value !== undefined);
  }

  /** Where a number is, or would be. */
  #place(number: number): number {
    const mask = this.#values.length - 1;
    let place = this.#home(number);
    while (this.#values[place] !== undefined && this.#numbers[place] !== number) place = (place + 1) & mask;
    return place;
  }

  /** Where a number belongs. */
  #home(number: number): number {
    return Math.imul(number, SPREAD) >>> (32 - this.#bits);
  }

  #grow(): void {
    const [numbers, values] = [this.#numbers, this.#values];
    const length = 2 ** ++this.#bits;
    this.#numbers = Array.from({ length }, () => 0);
    this.#values = Array.from<T | undefined>({ length });
    this.#size = 0;
    for (const [place, value] of values.entries()) if (value !== undefined) this.set(numbers[place] ?? 0, value);
  }
}
