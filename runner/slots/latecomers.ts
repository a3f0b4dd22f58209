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
    this.#forget();
  }

  isOwed(source: object): boolean {
    this.#forget();
    return this.#refusedAt.has(source);
  }

  /** A gateway may be gone long since, and is not kept for what it was owed. */
  #forget(): void {
    const now = this.#clock.now();
    for (const [longest, since] of this.#refusedAt) {
      if (now - since < OWED_MS && this.#refusedAt.size <= MOST_OWED) break;
      this.#refusedAt.delete(longest);
    }
  }
}
