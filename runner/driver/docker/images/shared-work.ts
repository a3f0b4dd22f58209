import type { CallError } from "../../../../core/call-error.ts";
import type { Clock } from "../../../../core/clock.ts";
import { unlessAborted } from "../unless-aborted.ts";

/** Must end soon after the signal aborts, with its reason. */
type Work<T> = (signal: AbortSignal) => Promise<T>;

interface Run<T> {
  readonly done: Promise<T>;
  readonly stop: AbortController;
  /** It had its time, which is not that of whoever came later. */
  late: boolean;
  waiting: number;
}

/**
 * Does work of the same key once for all who want it at the same time. Everybody waits for as long as the time limit,
 * from when they asked: whoever comes late to work that then runs out of time has it begun anew. It ends early only
 * when nobody waits for it any more, so whoever came first may leave.
 */
export class SharedWork<T> {
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  readonly #running = new Map<string, Run<T>>();

  constructor(timeoutMs: number, clock: Clock) {
    this.#timeoutMs = timeoutMs;
    this.#clock = clock;
  }

  /** @throws what the work throws, the signal's reason, or `late()` */
  async wait(key: string, work: Work<T>, late: () => CallError, signal: AbortSignal): Promise<T> {
    const deadline = new AbortController();
    const cancel = this.#clock.after(this.#timeoutMs, () => deadline.abort(late()));
    const leave = AbortSignal.any([signal, deadline.signal]);
    try {
      for (;;) {
        const run = this.#running.get(key) ?? this.#begin(key, work);
        const outcome = await this.#join(key, run, leave);
        if (outcome !== undefined) return outcome.value;
      }
    } finally {
      cancel();
    }
  }

  /** Ends all of it. */
  end(reason: CallError): void {
    for (const { stop } of this.#running.values()) stop.abort(reason);
  }

  /** Undefined for work that ran out of its own time while this one had some left. */
  async #join(key: string, run: Run<T>, leave: AbortSignal): Promise<{ readonly value: T } | undefined> {
    run.waiting += 1;
    try {
      return { value: await unlessAborted(run.done, leave) };
    } catch (error) {
      if (!run.late || leave.aborted) throw error;
      return undefined;
    } finally {
      run.waiting -= 1;
      if (run.waiting === 0) run.stop.abort();
      if (run.waiting === 0 || run.late) this.#forget(key, run);
    }
  }

  #begin(key: string, work: Work<T>): Run<T> {
    const stop = new AbortController();
    const cancel = this.#clock.after(this.#timeoutMs, () => {
      run.late = true;
      stop.abort();
    });
    const done = work(stop.signal).finally(() => {
      cancel();
      this.#forget(key, run);
    });
    const run: Run<T> = { done, stop, late: false, waiting: 0 };
    this.#running.set(key, run);
    return run;
  }

  #forget(key: string, run: Run<T>): void {
    if (this.#running.get(key) === run) this.#running.delete(key);
  }
}
