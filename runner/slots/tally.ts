/** Counts by source; those of which there is nothing are forgotten. */
export class Tally {
  readonly #counts = new Map<object, number>();

  of(source: object): number {
    return this.#counts.get(source) ?? 0;
  }

  add(source: object, by: 1 | -1): void {
    const count = this.of(source) + by;
    if (count === 0) this.#counts.delete(source);
    else this.#counts.set(source, count);
  }
}
