import type { Clock } from "../../core/clock.ts";

/** A clock that only moves when told to: timers run in their order, at their time. */
export class VirtualClock implements Clock {
  #nowMs = 0;
  #timers: { at: number; order: number; task: () => void }[] = [];
  #order = 0;

  now(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs;
  }

  after(ms: number, task: () => void): () => void {
    const timer = { at: this.#nowMs + Math.max(0, ms), order: this.#order++, task };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer);
    };
  }

  /** Timers that are set. */
  get pending(): number {
    return this.#timers.length;
  }

  /** Moves time on, running what falls due. */
  advance(ms: number): void {
    const until = this.#nowMs + ms;
    for (;;) {
      const [next] = this.#timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at || a.order - b.order);
      if (next === undefined) break;
      this.#timers = this.#timers.filter((one) => one !== next);
      this.#nowMs = next.at;
      next.task();
    }
    this.#nowMs = until;
  }
}
