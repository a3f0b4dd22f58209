import type { Clock } from "../../core/clock.ts";

/** One timer for many moments: rings at the earliest that was asked for since it last rang. */
export class Alarm {
  readonly #clock: Clock;
  readonly #ring: () => void;
  #at = Infinity;
  #cancel: () => void = () => {};

  constructor(clock: Clock, ring: () => void) {
    this.#clock = clock;
    this.#ring = ring;
  }

  by(when: number): void {
    if (when >= this.#at) return;
    this.#cancel();
    this.#at = when;
    this.#cancel = this.#clock.after(when - this.#clock.now(), () => {
      this.#at = Infinity;
      this.#ring();
    });
  }

  off(): void {
    this.#cancel();
    this.#at = Infinity;
  }
}
