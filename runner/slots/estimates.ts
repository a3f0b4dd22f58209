import type { SlotKey } from "../../core/container-task.ts";

/** An average that follows, with the newest counting for a fifth. */
class Smoothed {
  #value: number | undefined;

  get value(): number | undefined {
    return this.#value;
  }

  /** One sample counts at most eightfold: a single slow call does not make a function slow, ten of them do. */
  add(sample: number): void {
    const before = this.#value;
    const counted = before === undefined ? sample : Math.min(sample, Math.max(1, 8 * before));
    this.#value = before === undefined ? sample : before + (counted - before) / 5;
  }
}

/** What is known of the calls of one slot key, milliseconds. */
export class Estimate {
  /** From a call's slot to its release. */
  readonly run = new Smoothed();
  /** From a start's turn to its container. */
  readonly start = new Smoothed();
  /** Between two calls. */
  readonly gap = new Smoothed();
  #lastCall: number | undefined;

  called(now: number): void {
    if (this.#lastCall !== undefined) this.gap.add(Math.min(now - this.#lastCall, LONGEST_GAP_MS));
    this.#lastCall = now;
  }
}

/** A function called less often than this is not hot. */
const LONGEST_GAP_MS = 60_000;
/** Until a first container has been started: between Docker's with a pool and without. */
const FIRST_START_MS = 200;
/** No driver starts a function in less, and timers are not much finer. */
const LEAST_START_MS = 10;
/** Functions, and variants of them, of which estimates are kept. */
const MOST_KEPT = 1_024;

/** Estimates by slot key, kept beyond the last container of a key. */
export class Estimates {
  readonly #kept = new Map<SlotKey, Estimate>();
  readonly #starts = new Smoothed();

  of(key: SlotKey): Estimate {
    let known = this.#kept.get(key);
    if (known !== undefined) return known;
    if (this.#kept.size >= MOST_KEPT) this.#forgetOldest();
    this.#kept.set(key, (known = new Estimate()));
    return known;
  }

  started(estimate: Estimate, ms: number): void {
    estimate.start.add(ms);
    this.#starts.add(ms);
  }

  /** What a start takes: of this key, or else of this machine. */
  startMs(estimate: Estimate): number {
    return Math.max(LEAST_START_MS, estimate.start.value ?? this.#starts.value ?? FIRST_START_MS);
  }

  #forgetOldest(): void {
    for (const oldest of this.#kept.keys()) return void this.#kept.delete(oldest);
  }
}
