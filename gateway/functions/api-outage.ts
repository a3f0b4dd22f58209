import type { Clock } from "../../core/clock.ts";

/**
 * Whether an API that went away is asked again: by one request, once in a while, so that nobody waits for what is not
 * there. Does no I/O.
 */
export class ApiOutage {
  readonly #clock: Clock;
  readonly #againMs: number;
  #until: number | undefined;

  constructor(clock: Clock, againMs: number) {
    this.#clock = clock;
    this.#againMs = againMs;
  }

  /** True to whoever is to ask; while it is away, to one at a time. */
  mayAsk(): boolean {
    if (this.#until === undefined) return true;
    const now = this.#clock.now();
    if (now < this.#until) return false;
    this.#until = now + this.#againMs;
    return true;
  }

  /** @returns whether it was away */
  answered(): boolean {
    const wasAway = this.#until !== undefined;
    this.#until = undefined;
    return wasAway;
  }

  /** @returns whether that is news */
  failed(): boolean {
    const news = this.#until === undefined;
    this.#until = this.#clock.now() + this.#againMs;
    return news;
  }
}
