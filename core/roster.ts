/** Where an item sits in a roster; undefined once it has left. */
export interface Seat<T> {
  readonly item: T;
  before: Seat<T> | undefined;
  after: Seat<T> | undefined;
}

/**
 * Items in the order they came, for what comes and goes with every call: each is taken out by the seat it was given.
 * Unlike a `Set` it makes no tables that keep who has left, see {@link NumberMap}; who has left points to nobody.
 */
export class Roster<T> implements Iterable<T> {
  #first: Seat<T> | undefined;
  #last: Seat<T> | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(item: T): Seat<T> {
    const seat: Seat<T> = { item, before: this.#last, after: undefined };
    if (this.#last === undefined) this.#first = seat;
    else this.#last.after = seat;
    this.#last = seat;
    this.#size += 1;
    return seat;
  }

  /** Takes out who sits there. Nothing happens the second time. */
  remove(seat: Seat<T>): void {
    const { before, after } = seat;
    if (before === undefined && this.#first !== seat) return;
    if (before === undefined) this.#first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    seat.before = seat.after = undefined;
    this.#size -= 1;
  }

  /** Over those that are here when it begins, whoever leaves meanwhile. */
  [Symbol.iterator](): Iterator<T> {
    const items: T[] = [];
    for (let seat = this.#first; seat !== undefined; seat = seat.after) items.push(seat.item);
    return items.values();
  }
}
