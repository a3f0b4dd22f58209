interface Due<T> {
  readonly at: number;
  /** Undefined once it is due earlier, or not any more. */
  item: T | undefined;
}

/**
 * Items by the moment they are due, the earliest first: a binary heap, so that one of many thousands is found without
 * a look at the others. An item is in it once.
 */
export class DueItems<T extends object> {
  readonly #heap: Due<T>[] = [];
  readonly #known = new Map<T, Due<T>>();

  /** When the first is due; infinite where there is none. */
  get first(): number {
    return this.#heap[0]?.at ?? Infinity;
  }

  /** An item that is there already keeps the earlier of both moments. */
  add(item: T, at: number): void {
    const known = this.#known.get(item);
    if (known !== undefined && known.at <= at) return;
    if (known !== undefined) known.item = undefined;
    const due: Due<T> = { at, item };
    this.#known.set(item, due);
    this.#rise(due);
  }

  delete(item: T): void {
    const known = this.#known.get(item);
    if (known === undefined) return;
    known.item = undefined;
    this.#known.delete(item);
  }

  /** Takes what is due by now. What is added meanwhile waits for the next time. */
  take(now: number): readonly T[] {
    const taken: T[] = [];
    while (this.first <= now) {
      const { item } = this.#pop();
      if (item === undefined) continue;
      this.#known.delete(item);
      taken.push(item);
    }
    return taken;
  }

  #rise(due: Due<T>): void {
    let at = this.#heap.push(due) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = this.#at(above);
      if (parent.at <= due.at) break;
      this.#heap[at] = parent;
      at = above;
    }
    this.#heap[at] = due;
  }

  #pop(): Due<T> {
    const first = this.#at(0);
    const last = this.#heap.pop();
    if (last !== undefined && this.#heap.length > 0) this.#sink(last);
    return first;
  }

  /** From the top down, to where it is not later than what is below. */
  #sink(due: Due<T>): void {
    const { length } = this.#heap;
    let at = 0;
    for (let below = 1; below < length; below = 2 * at + 1) {
      if (below + 1 < length && this.#at(below + 1).at < this.#at(below).at) below += 1;
      const child = this.#at(below);
      if (child.at >= due.at) break;
      this.#heap[at] = child;
      at = below;
    }
    this.#heap[at] = due;
  }

  #at(index: number): Due<T> {
    const due = this.#heap[index];
    if (due === undefined) throw new RangeError(`Cannot look at place ${index}: the heap has ${this.#heap.length}`);
    return due;
  }
}
