import type { CallError } from "../../../../core/call-error.ts";
import { pause, type Clock } from "../../../../core/clock.ts";

/** Waits between tries. The k-th is at least `minDelayMs`, and by chance longer: up to (2^k - 1) times `stepMs`, and to `maxDelayMs`. */
export interface Backoff {
  /** Tries after the first; 0 is none. */
  readonly retries: number;
  readonly minDelayMs: number;
  readonly stepMs: number;
  readonly maxDelayMs: number;
}

/** How a registry failed, of what may pass. */
export const PULL_TROUBLES = {
  toomanyrequests: /toomanyrequests|too many requests|\b429\b/i,
  "5xx": /unexpected HTTP status:? 5\d\d|status code 5\d\d|\b50[0234] [A-Z]/,
  network:
    /connection refused|connection reset|i\/o timeout|TLS handshake timeout|no such host|\bEOF\b|timeout awaiting/i,
} as const;

export type PullTrouble = keyof typeof PULL_TROUBLES;

export interface PullRetries extends Backoff {
  readonly on: readonly PullTrouble[];
}

/** @param chance from 0 to below 1 */
export function backoffMs({ minDelayMs, stepMs, maxDelayMs }: Backoff, retry: number, chance: number): number {
  const spread = Math.min((2 ** retry - 1) * stepMs, maxDelayMs - minDelayMs);
  return minDelayMs + chance * Math.max(0, spread);
}

export interface Retrying {
  readonly policy: PullRetries;
  readonly clock: Clock;
  /** Told before each further try. */
  readonly retried: (reason: CallError, retry: number) => void;
  readonly chance?: () => number;
}

/** Tries until it works, or fails with what the policy does not retry, or the signal aborts. */
export async function withRetries<T>(
  attempt: () => Promise<T>,
  isWorthRetrying: (error: unknown) => error is CallError,
  { policy, clock, retried, chance = Math.random }: Retrying,
  signal: AbortSignal,
): Promise<T> {
  for (let retry = 1; ; retry++) {
    try {
      return await attempt();
    } catch (error) {
      if (signal.aborted || retry > policy.retries || !isWorthRetrying(error)) throw error;
      retried(error, retry);
      await pause(clock, backoffMs(policy, retry, chance()), signal);
      if (signal.aborted) throw error;
    }
  }
}
