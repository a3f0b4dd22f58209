import { nextRun, type ScheduleSettings } from "./schedule-settings.ts";

/** A run that starts later than this was missed: gateways look for what is due far more often. */
const ON_TIME_MS = 60_000;

/** What is to be done about a schedule that is due: however many runs were missed, at most one takes place now. */
export interface DueRun {
  readonly run: boolean;
  /** Undefined: never again. */
  readonly nextMs: number | undefined;
}

export function dueRun(settings: ScheduleSettings, dueMs: number, nowMs: number): DueRun {
  const onTime = nowMs - dueMs <= ON_TIME_MS;
  return { run: onTime || settings.missed === "run-once", nextMs: nextRun(settings, nowMs) };
}
