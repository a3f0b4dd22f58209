import type { Clock } from "../../core/clock.ts";

/** What a call is doing, as its gateway sees it. */
type Phase = "in middleware" | "looking for a runner" | "starting a container" | "running";

/** Where a call's time went, for who has to find out why it took too long. */
export class CallPhases {
  readonly #clock: Clock;
  /** In their order, and when each began. */
  readonly #phases: Phase[] = [];
  readonly #began: number[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
    this.enter("in middleware");
  }

  enter(phase: Phase): void {
    this.#phases.push(phase);
    this.#began.push(this.#clock.now());
  }

  /** `3 ms in middleware, 1000 ms looking for a runner` */
  toString(): string {
    const now = this.#clock.now();
    const spent = this.#phases.map((phase, i) => {
      const until = this.#began[i + 1] ?? now;
      return `${Math.round(until - (this.#began[i] ?? until))} ms ${phase}`;
    });
    return spent.join(", ");
  }
}
