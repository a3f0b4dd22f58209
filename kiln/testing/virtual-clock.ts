import { setImmediate } from "node:timers";

import type { Clock } from "../../core/clock.ts";
import { TimerQueue } from "./timer-queue.ts";

/** What has been made ready may itself make ready: a body that waits one turn of the event loop for more, for instance. */
const TURNS = 2;

/** A clock that only moves when told to: timers run in their order, at their time. */
export class VirtualClock implements Clock {
  #nowMs = 0;
  readonly #timers = new TimerQueue();

  now(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return Math.floor(this.#nowMs);
  }

  after(ms: number, task: () => void): () => void {
    const timer = this.#timers.add(this.#nowMs + Math.max(0, ms), task);
    return () => this.#timers.cancel(timer);
  }

  /** Timers that are set. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Moves time on, running what falls due. What that makes ready runs only once the caller awaits something. */
  advance(ms: number): void {
    const until = this.#nowMs + ms;
    while (this.#fire(until));
    this.#nowMs = until;
  }

  /** Moves time on, and lets everything that is ready run after each timer: the same program runs the same way again. */
  async run(ms: number): Promise<void> {
    const until = this.#nowMs + ms;
    await this.settle();
    while (this.#fire(until)) await this.settle();
    this.#nowMs = until;
  }

  /**
   * Moves time on just until `promise` settles, and returns what it resolves with.
   * @throws Error after `withinMs`, and when nothing is left that could settle it
   */
  async until<T>(promise: Promise<T>, withinMs = 3_600_000): Promise<T> {
    let settled = false;
    void promise.catch(() => {}).finally(() => (settled = true));
    const until = this.#nowMs + withinMs;
    await this.settle();
    while (!settled) {
      if (!this.#fire(until)) {
        const why = this.pending === 0 ? "no timer is set" : `not within ${withinMs} ms`;
        throw new Error(`Cannot wait on the virtual clock: the promise is not settled, ${why}`);
      }
      await this.settle();
    }
    return promise;
  }

  /** Lets everything that is ready run, without moving time. */
  async settle(): Promise<void> {
    for (let i = 0; i < TURNS; i++) await new Promise<void>((resolve) => setImmediate(resolve));
  }

  /** Runs the next timer that is due by then. */
  #fire(until: number): boolean {
    const next = this.#timers.takeBy(until);
    if (next === undefined) return false;
    this.#nowMs = Math.max(this.#nowMs, next.at);
    next.task();
    return true;
  }
}
