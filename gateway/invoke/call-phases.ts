import type { Clock } from "../../core/clock.ts";

/** What a call is doing, as its gateway sees it. */
type Phase = "in middleware" | "looking for a runner" | "starting a container" | "running";

/** Where a call's time went, for who has to find out why it took too long. */
export class CallPhases {
  readonly #clock: Clock;
  readonly #entered: [phase: Phase, at: number][] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
    this.enter("in middleware");
  }

  enter(phase: Phase): void {
    this.#entered.push([phase, this.#clock.now()]);
  }

  /** `3 ms in middleware, 1000 ms looking for a runner` */
  toString(): string {
    const now = this.#clock.now();
    const spent = this.#entered.map(([phase, at], i) => {
      const until = this.#entered[i + 1]?.[1] ?? now;
      return `${Math.round(until - at)} ms ${phase}`;
    });
    return spent.join(", ");
  }
}
