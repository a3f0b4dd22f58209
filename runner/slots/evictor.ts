import type { SlotKey } from "../../core/container-task.ts";
import type { Entry } from "./entry.ts";
import type { Minimums } from "./minimums.ts";
import { fits, minus, NOTHING, plus, type Resources } from "./resources.ts";
import type { SlotQueue } from "./slot-queue.ts";
import type { Booking } from "./slot.ts";

export interface EvictorOptions<C> {
  readonly resources: Resources;
  /** In the order they became idle, the oldest first. */
  readonly idle: Iterable<Entry<C>>;
  readonly minimums: Minimums<C>;
  readonly evict: (entry: Entry<C>) => void;
}

/** Makes room by removing idle containers: the oldest first, all that it takes or none. */
export class Evictor<C> {
  readonly #options: EvictorOptions<C>;
  /** What containers that are not yet gone will free. */
  #leaving = NOTHING;

  constructor(options: EvictorOptions<C>) {
    this.#options = options;
  }

  leaves({ request }: Entry<C>): void {
    this.#leaving = plus(this.#leaving, request.booking);
  }

  gone({ request }: Entry<C>): void {
    this.#leaving = minus(this.#leaving, request.booking);
  }

  /**
   * Sees to it that `need` fits once what is leaving has gone; `promised` is not to be touched, nor are containers of
   * `key` itself. False, and nothing is evicted, where not even all idle ones would do.
   */
  makeRoom(need: Booking, promised: Booking, key: SlotKey): boolean {
    const { resources, evict } = this.#options;
    const chosen: Entry<C>[] = [];
    let room = plus(minus(resources.free, promised), this.#leaving);
    for (const entry of this.#candidates(key)) {
      if (fits(need, room)) break;
      chosen.push(entry);
      room = plus(room, entry.request.booking);
    }
    if (!fits(need, room)) return false;
    for (const entry of chosen) evict(entry);
    return true;
  }

  /** Those of a function's minimum come last: a call that waits goes before a container that is kept for one. */
  *#candidates(key: SlotKey): Iterable<Entry<C>> {
    const { idle, minimums } = this.#options;
    const left = new Map<SlotQueue<C>, number>();
    const kept: Entry<C>[] = [];
    for (const entry of idle) {
      const { queue } = entry;
      if (queue.key === key) continue;
      const count = left.get(queue) ?? queue.entries.size;
      if (count <= minimums.of(queue)) kept.push(entry);
      else {
        left.set(queue, count - 1);
        yield entry;
      }
    }
    yield* kept;
  }
}
