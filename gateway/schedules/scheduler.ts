import type { Clock } from "../../core/clock.ts";
import type { Log } from "../../core/log.ts";
import type { DueTrigger, Schedules } from "../store/store.ts";
import { dueRun } from "./due-run.ts";
import { readScheduleSettings } from "./schedule-settings.ts";

export interface SchedulerOptions {
  readonly schedules: Schedules;
  /** Makes the call of a run; resolves once a runner has it. */
  readonly run: (trigger: DueTrigger) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
  /** How often the store is asked for what is due. */
  readonly pollMs?: number;
}

/** Most runs that wait for a runner at the same time; what is due beyond them is left to other gateways, or for later. */
const MOST_RUNS = 100;

/**
 * Runs what is due, once, however many gateways do the same: the one that moves a schedule's next run in the store makes
 * the call. If it ends in between, that run is lost and the next one is not. Disposing it waits for runs to be placed.
 */
export function startScheduler(options: SchedulerOptions): AsyncDisposable {
  const { schedules, run, clock, log, pollMs = 1_000 } = options;
  const running = new Set<Promise<void>>();
  let stopped = false;
  let away = false;
  let cancel = (): void => {};

  const begin = (trigger: DueTrigger) => {
    const work = run(trigger)
      .catch((error: unknown) => log.error("Scheduled call failed", { trigger_id: trigger.id, error }))
      .finally(() => running.delete(work));
    running.add(work);
  };
  const consider = async (trigger: DueTrigger) => {
    const { settings, faults } = readScheduleSettings(trigger.annotations);
    const nowMs = clock.wallMs();
    const { run, nextMs } =
      settings === undefined ? { run: false, nextMs: undefined } : dueRun(settings, trigger.dueMs, nowMs);
    if (!(await schedules.claim(trigger.id, trigger.dueMs, nextMs))) return;
    if (settings === undefined) {
      log.error("Schedule is not run, its settings are not understood", { trigger_id: trigger.id, ...faults[0] });
    } else if (run) begin(trigger);
    else log.warn("Scheduled run was missed", { trigger_id: trigger.id, due: new Date(trigger.dueMs).toISOString() });
  };
  const look = async () => {
    try {
      for (const trigger of await schedules.due(clock.wallMs(), MOST_RUNS - running.size)) {
        if (stopped) return;
        await consider(trigger);
      }
      away = false;
    } catch (error) {
      if (!away) log.warn("Schedules cannot be read, runs are late", { error });
      away = true;
    }
  };
  let looking = Promise.resolve();
  const loop = () => {
    looking = look().then(() => {
      if (!stopped) cancel = clock.after(pollMs, loop);
    });
  };
  loop();

  return {
    async [Symbol.asyncDispose]() {
      stopped = true;
      cancel();
      await looking;
      await Promise.all(running);
    },
  };
}
