import type { Timings } from "../../core/session/frames.ts";

/**
 * What became of a call. Middleware reads it after `await next()`; of an answer that is streamed, `timings` comes
 * only with its end.
 */
export interface CallOutcome {
  /** Address of the runner that took the call; undefined where none did. */
  readonly runner: string | undefined;
  readonly containerId: string | undefined;
  /** True if its container was there already. */
  readonly warm: boolean | undefined;
  /** Runners asked. */
  readonly attempts: number;
  /** What the call last waited for, before it ran. */
  readonly phase: string | undefined;
  readonly timings: Timings | undefined;
  /** What the function was made with, as it says. */
  readonly fdkVersion: string | undefined;
  /** Resolves when the call is over, however it ended. */
  readonly finished: Promise<void>;
}
