import type { SlotRequest, SlotWaiter } from "./slot.ts";
import { Tally } from "./tally.ts";

/** A call in the queue of its key. */
export interface Waiting<C> {
  readonly request: SlotRequest;
  readonly waiter: SlotWaiter<C>;
  readonly since: number;
  /** When a slot should have come; if none is on its way by then, a container is started. */
  until: number;
  /** It knows that a container is started. */
  told: boolean;
}

/**
 * Calls of one key in the order in which they get slots: those of one source as they came, and sources in turn, so that
 * a gateway with many calls does not keep another's waiting behind all of them.
 */
export class WaitingLine<C> {
  readonly #calls: Waiting<C>[] = [];
  readonly #counts = new Tally();

  get length(): number {
    return this.#calls.length;
  }

  /** How many are before a call of this source that comes now: no more of any other than it has itself, with this one. */
  placeOf({ source }: Pick<SlotWaiter<C>, "source">): number {
    const own = this.countOf(source) + 1;
    const passed = new Tally();
    let place = this.#calls.length;
    for (; place > 0; place -= 1) {
      const other = this.#calls[place - 1]?.waiter.source ?? source;
      if (this.countOf(other) - passed.of(other) <= own) break;
      passed.add(other, 1);
    }
    return place;
  }

  insert(waiting: Waiting<C>, place: number): void {
    this.#calls.splice(place, 0, waiting);
    this.#counts.add(waiting.waiter.source, 1);
  }

  countOf(source: object): number {
    return this.#counts.of(source);
  }

  /** The place of a call, or -1. */
  indexOf(waiting: Waiting<C>): number {
    return this.#calls.indexOf(waiting);
  }

  /** False: it does not wait here. */
  leave(waiter: SlotWaiter<C>): boolean {
    const waiting = this.#calls.find((one) => one.waiter === waiter);
    if (waiting !== undefined) this.remove(waiting);
    return waiting !== undefined;
  }

  slice(first: number, end?: number): readonly Waiting<C>[] {
    return this.#calls.slice(first, end);
  }

  shift(): Waiting<C> | undefined {
    return this.#left(this.#calls.shift());
  }

  pop(): Waiting<C> | undefined {
    return this.#left(this.#calls.pop());
  }

  remove(waiting: Waiting<C>): void {
    const at = this.#calls.indexOf(waiting);
    if (at >= 0) this.#left(...this.#calls.splice(at, 1));
  }

  #left(waiting?: Waiting<C>): Waiting<C> | undefined {
    if (waiting !== undefined) this.#counts.add(waiting.waiter.source, -1);
    return waiting;
  }
}
