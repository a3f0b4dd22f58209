import type { Clock } from "../../../../core/clock.ts";

export interface Rate {
  readonly perSecond: number;
  /** Tokens in a full bucket; it is full at first. */
  readonly burst: number;
}

/** Lets through so much at once, and so much a second after that. */
export class TokenBucket {
  readonly #rate: Rate;
  readonly #clock: Clock;
  #tokens: number;
  #filledAt: number;

  constructor(rate: Rate, clock: Clock) {
    this.#rate = rate;
    this.#clock = clock;
    this.#tokens = rate.burst;
    this.#filledAt = clock.now();
  }

  take(): boolean {
    this.#fill();
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  /** Milliseconds until there is a token; Infinity where none ever comes. */
  get waitMs(): number {
    this.#fill();
    if (this.#tokens >= 1) return 0;
    const { perSecond } = this.#rate;
    return perSecond === 0 ? Infinity : Math.ceil(((1 - this.#tokens) * 1_000) / perSecond);
  }

  #fill(): void {
    const now = this.#clock.now();
    const { perSecond, burst } = this.#rate;
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#filledAt) * perSecond) / 1_000);
    this.#filledAt = now;
  }
}
