export interface Timer {
  readonly at: number;
  readonly order: number;
  readonly task: () => void;
  cancelled: boolean;
}

/** Timers by time and then by age, in a binary heap. */
export class TimerQueue {
  readonly #heap: Timer[] = [];
  #order = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(at: number, task: () => void): Timer {
    const timer = { at, order: this.#order++, task, cancelled: false };
    this.#size += 1;
    let i = this.#heap.push(timer) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!this.#before(i, parent)) break;
      this.#swap(i, parent);
      i = parent;
    }
    return timer;
  }

  cancel(timer: Timer): void {
    if (timer.cancelled) return;
    timer.cancelled = true;
    this.#size -= 1;
  }

  /** Takes the first timer out, if it is due by then. */
  takeBy(when: number): Timer | undefined {
    for (let first = this.#heap[0]; first !== undefined && first.at <= when; first = this.#heap[0]) {
      this.#removeFirst();
      if (first.cancelled) continue;
      first.cancelled = true;
      this.#size -= 1;
      return first;
    }
    return undefined;
  }

  #removeFirst(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    for (let i = 0; ;) {
      const left = 2 * i + 1;
      if (left >= this.#heap.length) return;
      const child = left + 1 < this.#heap.length && this.#before(left + 1, left) ? left + 1 : left;
      if (!this.#before(child, i)) return;
      this.#swap(child, i);
      i = child;
    }
  }

  #before(a: number, b: number): boolean {
    const [one, two] = [this.#heap[a], this.#heap[b]];
    if (one === undefined || two === undefined) return false;
    return one.at < two.at || (one.at === two.at && one.order < two.order);
  }

  #swap(a: number, b: number): void {
    const [one, two] = [this.#heap[a], this.#heap[b]];
    if (one === undefined || two === undefined) return;
    this.#heap[a] = two;
    this.#heap[b] = one;
  }
}
