import type { Clock } from "../../core/clock.ts";

/** Who was refused longer ago than this is no longer owed anything. */
const OWED_MS = 1_000;
/** More gateways than a runner has. */
const MOST_OWED = 256;

/**
 * Gateways that were refused while others' calls had all slots of a function. A gateway learns of a slot that its own
 * call leaves before any other can, and would have it again and again.
 */
export class Latecomers {
  readonly #clock: Clock;
  /** When each was refused, the longest ago first. */
  readonly #refusedAt = new Map<object, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  refused(source: object): void {
    this.#refusedAt.delete(source);
    this.#refusedAt.set(source, this.#clock.now());
    for (const longest of this.#refusedAt.keys()) {
      if (this.#refusedAt.size <= MOST_OWED) break;
      this.#refusedAt.delete(longest);
    }
  }

  isOwed(source: object): boolean {
    const since = this.#refusedAt.get(source);
    return since !== undefined && this.#clock.now() - since < OWED_MS;
  }
}
