/** Lets a bounded number begin at the same time. Owners take turns, so that the burst of one does not hold up the others. */
export class Turns<T extends object> {
  readonly #width: number;
  /** Owners in the order of their turns, each with what it has waiting. */
  readonly #waiting = new Map<string, T[]>();
  readonly #begun = new Set<T>();

  constructor(width: number) {
    this.#width = width;
  }

  enter(owner: string, item: T): void {
    const own = this.#waiting.get(owner);
    if (own === undefined) this.#waiting.set(owner, [item]);
    else own.push(item);
  }

  /** The next that may begin, if there is a place. It keeps the place until it leaves. */
  next(): T | undefined {
    if (this.#begun.size >= this.#width) return undefined;
    for (const [owner, own] of this.#waiting) {
      const item = own.shift();
      // Behind all others, if it has more.
      this.#waiting.delete(owner);
      if (own.length > 0) this.#waiting.set(owner, own);
      if (item === undefined) continue;
      this.#begun.add(item);
      return item;
    }
    return undefined;
  }

  /** Whether it has begun or not. */
  leave(owner: string, item: T): void {
    if (this.#begun.delete(item)) return;
    const own = this.#waiting.get(owner);
    const at = own?.indexOf(item) ?? -1;
    if (own === undefined || at < 0) return;
    own.splice(at, 1);
    if (own.length === 0) this.#waiting.delete(owner);
  }
}
