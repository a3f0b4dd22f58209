import type { Clock } from "../../core/clock.ts";
import type { SlotQueue } from "./slot-queue.ts";
import type { SlotRequest } from "./slot.ts";

const PAUSE_MS = 5_000;

/**
 * How many containers are kept warm of which slot key: of each function, those of the variant that was called last.
 * So a changed function does not keep the containers of what it was.
 */
export class Minimums<C> {
  readonly #clock: Clock;
  readonly #fell: () => void;
  readonly #favoured = new Map<string, SlotQueue<C>>();

  /** @param fell - told when fewer may be kept than before */
  constructor(clock: Clock, fell: () => void) {
    this.#clock = clock;
    this.#fell = fell;
  }

  of(queue: SlotQueue<C>): number {
    const { task, minContainers, maxContainers } = queue.latest;
    if (this.#favoured.get(task.fnId) !== queue) return 0;
    return maxContainers > 0 ? Math.min(minContainers, maxContainers) : minContainers;
  }

  called(queue: SlotQueue<C>, request: SlotRequest): void {
    const before = this.#favoured.get(request.task.fnId);
    const least = this.of(queue);
    queue.latest = request;
    if (request.minContainers > 0) this.#favoured.set(request.task.fnId, queue);
    else if (before !== undefined) this.#favoured.delete(request.task.fnId);
    const lowered = this.of(queue) < least;
    if (lowered || (before !== undefined && before !== queue)) this.#fell();
  }

  /** Whether a container is to be started though no call waits for it. */
  misses(queue: SlotQueue<C>): boolean {
    return (
      queue.entries.size + queue.starts.size < this.of(queue) && !queue.full && this.#clock.now() >= queue.pausedUntil
    );
  }

  /** One failed to start, or died: what fails must not be started over and over for nobody. */
  pause(queue: SlotQueue<C>): void {
    queue.pausedUntil = this.#clock.now() + PAUSE_MS;
  }

  forget(queue: SlotQueue<C>): void {
    const { fnId } = queue.latest.task;
    if (this.#favoured.get(fnId) === queue) this.#favoured.delete(fnId);
  }

  clear(): void {
    this.#favoured.clear();
  }
}
