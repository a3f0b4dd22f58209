import type { Clock } from "../../core/clock.ts";
import type { SlotKey } from "../../core/container-task.ts";
import type { Estimates } from "./estimates.ts";
import type { Minimums } from "./minimums.ts";
import { SlotQueue } from "./slot-queue.ts";
import type { SlotRequest } from "./slot.ts";

/** The queues of all keys that there is anything of. */
export class SlotQueues<C> implements Iterable<SlotQueue<C>> {
  readonly #queues = new Map<SlotKey, SlotQueue<C>>();
  /** Those that calls may run in or wait at. */
  readonly #astir = new Set<SlotQueue<C>>();
  readonly #estimates: Estimates;
  readonly #minimums: Minimums<C>;
  readonly #clock: Clock;

  constructor(estimates: Estimates, minimums: Minimums<C>, clock: Clock) {
    this.#estimates = estimates;
    this.#minimums = minimums;
    this.#clock = clock;
  }

  get size(): number {
    return this.#queues.size;
  }

  [Symbol.iterator](): Iterator<SlotQueue<C>> {
    return this.#queues.values();
  }

  /** Those that calls run in or wait at: of all others there are at most idle containers. */
  *astir(): Generator<SlotQueue<C>, void, void> {
    for (const queue of this.#astir) {
      if (queue.atRest) this.#astir.delete(queue);
      else yield queue;
    }
  }

  get(key: SlotKey): SlotQueue<C> | undefined {
    return this.#queues.get(key);
  }

  /** The queue of a call that came just now. */
  called(request: SlotRequest): SlotQueue<C> {
    let queue = this.#queues.get(request.key);
    if (queue === undefined) {
      queue = new SlotQueue(request, this.#estimates.of(request.key), this.#clock);
      this.#queues.set(request.key, queue);
    }
    this.#astir.add(queue);
    queue.estimate.called(this.#clock.now());
    this.#minimums.called(queue, request);
    return queue;
  }

  forgetUnused(queue: SlotQueue<C>): void {
    if (!queue.unused) return;
    this.#queues.delete(queue.key);
    this.#astir.delete(queue);
    this.#minimums.forget(queue);
  }
}
