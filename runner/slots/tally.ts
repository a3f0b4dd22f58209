interface Count {
  readonly source: object;
  count: number;
}

/** Counts by source; those of which there is nothing are forgotten. There are as many sources as gateways: a few. */
export class Tally {
  // No Map: it would make a new table whenever the only call there is ends.
  readonly #counts: Count[] = [];

  of(source: object): number {
    return this.#find(source)?.count ?? 0;
  }

  add(source: object, by: 1 | -1): void {
    const found = this.#find(source);
    if (found === undefined) return void this.#counts.push({ source, count: by });
    found.count += by;
    if (found.count === 0) this.#forget(found);
  }

  #find(source: object): Count | undefined {
    return this.#counts.find((one) => one.source === source);
  }

  #forget(gone: Count): void {
    const last = this.#counts.pop();
    if (last !== undefined && last !== gone) this.#counts[this.#counts.indexOf(gone)] = last;
  }
}
