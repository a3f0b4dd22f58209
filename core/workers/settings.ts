import { integer } from "../config.ts";

const LEAST_RESTART_MS = 100;

/** Settings of every service that can be more than one process. */
export const WORKER_SETTINGS = {
  FN_WORKERS: integer(1, "Processes that share the work; --workers N says the same, and goes first", {
    min: 1,
    max: 64,
  }),
  FN_WORKER_RESTART_MAX_MSECS: integer(
    10_000,
    `Longest wait until a worker that ended is started again; the first is ${LEAST_RESTART_MS} ms, and it doubles`,
    { min: LEAST_RESTART_MS },
  ),
} as const;

/** How long to wait after so many ends in a row, the first being 0. */
export function restartDelayMs(ends: number, maxMs: number): number {
  return Math.min(maxMs, LEAST_RESTART_MS * 2 ** Math.min(ends, 20));
}

/** How many are wanted. @throws Error naming an option that cannot be read */
export function workerCount(option: string | undefined, { FN_WORKERS }: { readonly FN_WORKERS: number }): number {
  if (option === undefined) return FN_WORKERS;
  try {
    return WORKER_SETTINGS.FN_WORKERS.parse(option.trim());
  } catch (error) {
    const expected = error instanceof Error ? error.message : String(error);
    throw new Error(`--workers is ${JSON.stringify(option)}, expected ${expected}`, { cause: error });
  }
}
