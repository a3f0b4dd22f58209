import { CallError } from "../../core/call-error.ts";
import { pause, type Clock } from "../../core/clock.ts";
import type { Placement, Placer, Runner, RunnerCall, RunnerPool } from "./runnerpool.ts";

export interface NaivePlacerOptions {
  readonly clock: Clock;
  /** How long a call may look for a runner; how long it then runs is the call's own affair. */
  readonly timeoutMs: number;
  /** The same for detached calls. */
  readonly detachedTimeoutMs: number;
  /** Wait between two rounds, at first; it doubles up to 16 times that, and is cut short by a runner's capacity. */
  readonly retryDelayMs: number;
  /** Where a round begins, from 0 to below `size`. */
  readonly pickStart?: (size: number) => number;
  /** From 0 to 1: how much of each wait is left to chance. */
  readonly jitter?: () => number;
}

const MOST_DELAYS = 16;

/** Asks the runners in a ring from a random start, round after round, until one takes the call. */
export function naivePlacer(options: NaivePlacerOptions): Placer {
  const { clock, retryDelayMs, pickStart = randomIndex, jitter = Math.random } = options;
  return {
    async place(call, pool, signal) {
      const timeoutMs = call.call.type === "detached" ? options.detachedTimeoutMs : options.timeoutMs;
      const until = clock.now() + timeoutMs;
      const tally = new Tally();
      for (let round = 0; ; round++) {
        const runners = await pool.runners(call, signal);
        const placement = await oneRound(
          ringFrom(runners, pickStart(runners.length)),
          call,
          signal,
          until,
          clock,
          tally,
        );
        if (placement !== undefined) return placement;
        if (tally.neverFits(runners)) throw tally.verdict(timeoutMs);
        const delayMs = retryDelayMs * Math.min(2 ** round, MOST_DELAYS) * (0.5 + jitter());
        if (clock.now() + delayMs >= until) throw tally.verdict(timeoutMs);
        await woken(pool, clock, delayMs, signal);
        if (signal.aborted) throw CallError.from(signal.reason, "client_cancel");
      }
    },
  };
}

async function oneRound(
  runners: readonly Runner[],
  call: RunnerCall,
  signal: AbortSignal,
  until: number,
  clock: Clock,
  tally: Tally,
): Promise<Placement | undefined> {
  for (const runner of runners) {
    if (signal.aborted) throw CallError.from(signal.reason, "client_cancel");
    if (clock.now() >= until) return undefined;
    tally.attempts += 1;
    // The call's own signal: finding a runner has a deadline, running on it does not.
    const offer = await runner.tryCall(call, signal);
    if (offer.placed) return { runner, attempts: tally.attempts };
    if (offer.scope === "any_runner") throw offer.reason;
    tally.last.set(runner, offer.reason);
  }
  return undefined;
}

/** Waits a while, or until a runner has room again. */
async function woken(pool: RunnerPool, clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  const waiting = new AbortController();
  const stop = () => waiting.abort();
  const leave = pool.onCapacity(stop);
  signal.addEventListener("abort", stop, { once: true });
  await pause(clock, ms, waiting.signal);
  signal.removeEventListener("abort", stop);
  leave();
}

/** What each runner last said. */
class Tally {
  readonly last = new Map<Runner, CallError>();
  attempts = 0;

  /** No runner could take the call however long it waited. */
  neverFits(runners: readonly Runner[]): boolean {
    return runners.length > 0 && runners.every((runner) => this.last.get(runner)?.code === "resource_too_big");
  }

  /** Why nobody took the call: the runners' own reason where they agree, otherwise that all are busy. */
  verdict(timeoutMs: number): CallError {
    const reasons = [...this.last.values()];
    const [first] = reasons;
    if (first !== undefined && reasons.every(({ code }) => code === first.code) && first.code !== "server_busy") {
      return first;
    }
    const what = first === undefined ? "the pool has no runner" : first.message;
    return new CallError(
      "server_busy",
      `Timed out - server too busy: no runner took the call in ${timeoutMs} ms (${what})`,
    );
  }
}

function ringFrom(runners: readonly Runner[], start: number): readonly Runner[] {
  return [...runners.slice(start), ...runners.slice(0, start)];
}

function randomIndex(size: number): number {
  return Math.floor(Math.random() * size);
}
