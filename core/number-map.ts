/** Least places; more are made when half of them are taken. */
const LEAST = 16;

/**
 * A map by numbers that are given out in turn, such as those of calls, for entries that come and go all the time.
 * A `Map` makes a new table for every few of them, and each old table points to the next: once V8 holds one of them for
 * old, its young collections keep all that follow, and the calls in them, until it looks at the whole heap. Here
 * entries are written over in place.
 */
export class NumberMap<T extends object> {
  #numbers = Array.from({ length: LEAST }, () => 0);
  #values = Array.from<T | undefined>({ length: LEAST });
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
      this.#size += 1;
      if (this.#size * 2 > this.#values.length) {
        this.#grow();
        place = this.#place(number);
      }
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
      const home = (this.#numbers[next] ?? 0) & mask;
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

  /** In no order. What is set or deleted meanwhile may be met or not. */
  *[Symbol.iterator](): Generator<[number, T], void, void> {
    for (const [place, value] of this.#values.entries()) {
      if (value !== undefined) yield [this.#numbers[place] ?? 0, value];
    }
  }

  *values(): Generator<T, void, void> {
    for (const [, value] of this) yield value;
  }

  /** Where a number is, or would be. */
  #place(number: number): number {
    const mask = this.#values.length - 1;
    let place = number & mask;
    while (this.#values[place] !== undefined && this.#numbers[place] !== number) place = (place + 1) & mask;
    return place;
  }

  #grow(): void {
    const [numbers, values] = [this.#numbers, this.#values];
    const length = values.length * 2;
    this.#numbers = Array.from({ length }, () => 0);
    this.#values = Array.from<T | undefined>({ length });
    for (const [place, value] of values.entries()) {
      if (value === undefined) continue;
      const number = numbers[place] ?? 0;
      const at = this.#place(number);
      this.#numbers[at] = number;
      this.#values[at] = value;
    }
  }
}
