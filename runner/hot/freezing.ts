import { CallError } from "../../core/call-error.ts";
import type { Clock } from "../../core/clock.ts";
import type { Log } from "../../core/log.ts";
import type { RunnerMetrics } from "../runner-metrics.ts";
import type { HotFunction } from "./hot-function.ts";

/** Freezes and thaws within a time limit, counted and logged. Both resolve with whether it worked, and never reject. */
export interface Freezing {
  freeze(hot: HotFunction): Promise<boolean>;
  thaw(hot: HotFunction): Promise<boolean>;
}

export interface FreezingDependencies {
  readonly clock: Clock;
  readonly log: Log;
  readonly count: Pick<RunnerMetrics, "froze" | "thawed">;
  /** The usual way takes less than a millisecond, the one through Docker some twenty. */
  readonly timeoutMs: number;
}

export function createFreezing({ clock, log, count, timeoutMs }: FreezingDependencies): Freezing {
  const tried = async (hot: HotFunction, step: "freeze" | "thaw") => {
    try {
      await withinLimit({ clock, timeoutMs }, step, (signal) => hot.container[step](signal));
      return true;
    } catch (error) {
      const reason = CallError.from(error, "runner_internal");
      log.warn(`Container failed to ${step}`, { container: hot.container.id, fn_id: hot.task.fnId, reason });
      return false;
    }
  };
  return {
    async freeze(hot) {
      const ok = await tried(hot, "freeze");
      count.froze(ok);
      return ok;
    },
    async thaw(hot) {
      const began = clock.now();
      const ok = await tried(hot, "thaw");
      count.thawed(ok, clock.now() - began);
      return ok;
    },
  };
}

/** Rejects at the limit even if the driver does not heed its signal: a call may wait for this. */
async function withinLimit(
  { clock, timeoutMs }: Pick<FreezingDependencies, "clock" | "timeoutMs">,
  step: string,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const late = Promise.withResolvers<never>();
  const cancel = clock.after(timeoutMs, () => {
    const reason = new CallError("runner_internal", `Container had ${timeoutMs} ms to ${step}`);
    stop.abort(reason);
    late.reject(reason);
  });
  try {
    await Promise.race([work(stop.signal), late.promise]);
  } finally {
    cancel();
  }
}
