import type { Estimates } from "./estimates.ts";
import type { SlotQueue } from "./slot-queue.ts";
import type { SlotLimits } from "./slot.ts";

/** Virtual clocks know calls that take no time. */
const LEAST_RUN_MS = 0.01;

/** Whether a call had better wait for a slot to come back than for a container of its own. */
export class Expectations {
  readonly #estimates: Estimates;
  readonly #starts: { readonly size: number };
  readonly #limits: Pick<SlotLimits, "startsAtOnce" | "slotWaitMs">;

  /** @param starts - those on their way, of all keys */
  constructor(
    estimates: Estimates,
    starts: { readonly size: number },
    limits: Pick<SlotLimits, "startsAtOnce" | "slotWaitMs">,
  ) {
    this.#estimates = estimates;
    this.#starts = starts;
    this.#limits = limits;
  }

  /** How long a call waits for a slot to come back before a container is started for it. */
  patienceMs(queue: SlotQueue<unknown>, ahead = this.#starts.size): number {
    const { startsAtOnce, slotWaitMs } = this.#limits;
    // Behind those that are on their way: only so many start at a time.
    const rounds = 1 + Math.floor(ahead / startsAtOnce);
    return Math.min(slotWaitMs, rounds * this.#estimates.startMs(queue.estimate));
  }

  /** Whether the nth of the waiting calls has a slot before a container that is started now would be there. */
  comesSoon(queue: SlotQueue<unknown>, nth: number): boolean {
    return this.#comesSoon(queue, nth, 0);
  }

  /** Whether even the last of the waiting calls does, without one of the starts that are on their way. */
  sparesStart(queue: SlotQueue<unknown>): boolean {
    return this.#comesSoon(queue, queue.waiting.length, 1);
  }

  #comesSoon(queue: SlotQueue<unknown>, nth: number, without: number): boolean {
    const onTheWay = (queue.starts.size - without) * queue.concurrency;
    if (nth <= onTheWay) return true;
    const startMs = this.#estimates.startMs(queue.estimate);
    const patienceMs = this.patienceMs(queue, this.#starts.size - without);
    // Until a call has ended, it might take as long as a start.
    const runMs = Math.max(queue.estimate.run.value ?? startMs, LEAST_RUN_MS);
    const fromRunning = (queue.slotsToReturn * patienceMs) / runMs;
    const fromStarts = onTheWay * (1 + Math.max(0, patienceMs - startMs) / runMs);
    return fromRunning + fromStarts > nth;
  }
}
