/** Time as a parameter: parts with rules of their own take one of these and own no timer. */
export interface Clock {
  /** Milliseconds on a clock that never goes back; only differences mean anything. */
  now(): number;
  /** Wall clock, milliseconds since 1970, for timestamps that people read. */
  wallMs(): number;
  /** Runs `task` once after `ms`; the returned function cancels it. Keeps the process alive only if told to. */
  after(ms: number, task: () => void, keepAlive?: boolean): () => void;
}

// Node clamps longer timers to 1 ms, which would fire a far deadline at once.
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => performance.now(),
  wallMs: () => Date.now(),
  after(ms, task, keepAlive = false) {
    const timer = setTimeout(task, Math.min(Math.max(0, ms), LONGEST_TIMER_MS));
    if (!keepAlive) timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Resolves after `ms` or as soon as `signal` aborts, whichever is first. */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      cancel();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    // Whoever waits here goes on afterwards: the process must not end meanwhile for want of work.
    const cancel = clock.after(ms, done, true);
    signal?.addEventListener("abort", done, { once: true });
  });
}
