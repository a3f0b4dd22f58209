import process from "node:process";

import { systemClock } from "../clock.ts";
import type { Log } from "../log.ts";
import { createMetrics } from "../metrics.ts";
import { processMetrics } from "../process-metrics.ts";
import type { Readiness } from "../readiness.ts";
import { keepWorker, type KeptWorker } from "./kept-worker.ts";
import { MetricsSum } from "./metrics-sum.ts";
import type { Vitals } from "./vitals.ts";
import type { Serving, WorkerPlace } from "./worker-place.ts";

export interface WorkersOptions {
  readonly count: number;
  /** Settings in which one differs from the others. */
  readonly settingsOf: (place: WorkerPlace) => Readonly<Record<string, unknown>>;
  readonly restartMaxMs: number;
  /** How long calls may go on once it is told to stop. */
  readonly drainMs: number;
  /** A stop that is asked for while they are started. */
  readonly asked: AbortSignal;
  readonly log: Log;
}

/** Several processes that serve as one. Disposing them drains them all. */
export interface Workers extends AsyncDisposable {
  /** Of all of them, separated by commas. */
  readonly address: string;
  readonly admin: string | undefined;
  /** Aborted once none serves, and none can be started. */
  readonly lost: AbortSignal;
  hurry(): void;
  /** 0 only where each of them ended well; 1 before others. */
  exitCode(): number;
}

/**
 * Starts this program so many times more, and watches over it. The first is started alone, so that what is wrong with
 * the configuration is said once. @throws Error if one ends before it serves, when none is left
 */
export async function startWorkers(options: WorkersOptions): Promise<Workers> {
  const { count, settingsOf, restartMaxMs, drainMs, asked, log } = options;
  if (process.versions["deno"] !== undefined) {
    // Its children would have all permissions, whatever it was given itself.
    throw new Error(`Cannot start ${count} workers on Deno: start several with ports of their own, or run it on Node`);
  }
  const metrics = createMetrics();
  const sum = new MetricsSum();
  const kept: KeptWorker[] = [];
  const hurried = new AbortController();
  const lost = new AbortController();
  const codes: number[] = [];
  let first: Serving | undefined;
  processMetrics(metrics);
  const restarts = metrics.counter("fn_worker_restarts", "Workers started in the place of one that ended unasked");
  restarts.add(0);
  metrics.read("fn_workers_serving", "Workers that serve", () => [[kept.filter(({ serving }) => serving).length]]);

  const whole: Vitals = {
    async metrics() {
      await Promise.all(kept.map((one, index) => tellSum(one, String(index + 1))));
      sum.tell("parent", metrics.collect());
      return sum.total();
    },
    readiness: () => readinessOf(kept),
  };

  /** One that does not answer counts as it did before. */
  async function tellSum({ vitals }: KeptWorker, worker: string): Promise<void> {
    if (vitals === undefined) return;
    try {
      sum.tell(worker, await vitals.metrics());
    } catch (error) {
      log.warn("Worker does not tell its metrics", { worker, error });
    }
  }

  const keep = (number: number): Promise<Serving> => {
    const one = keepWorker({
      number,
      settings: (before) => settingsOf({ number, before, first }),
      whole,
      restartMaxMs,
      graceMs: drainMs,
      left: () => sum.left(String(number)),
      again: () => restarts.add(),
      othersServe: () => kept.some(({ serving }) => serving !== undefined),
      lost() {
        log.error("No worker serves, and none can be started", { worker: number });
        lost.abort();
      },
      clock: systemClock,
      log,
    });
    kept.push(one);
    return one.began;
  };

  const end = async () => {
    codes.push(...(await Promise.all(kept.map((one) => one.end(hurried.signal)))));
  };

  try {
    first = await keep(1);
    const served = [first];
    if (!asked.aborted) served.push(...(await Promise.all(numbersTo(count).slice(1).map(keep))));
    return {
      address: [...new Set(served.map(({ address }) => address))].join(","),
      admin: first.admin,
      lost: lost.signal,
      hurry: () => hurried.abort(),
      exitCode: () => (lost.signal.aborted || codes.includes(1) ? 1 : Math.max(0, ...codes)),
      [Symbol.asyncDispose]: end,
    };
  } catch (error) {
    await end();
    throw error;
  }
}

function numbersTo(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

/**
 * Ready as long as one of them is: they differ only for the moments in which one starts, and whoever took all of them
 * out of service for that would make the others' calls wait for nothing.
 */
async function readinessOf(kept: readonly KeptWorker[]): Promise<Readiness> {
  const asked = await Promise.allSettled(kept.map(async ({ vitals }) => vitals?.readiness()));
  const states = asked.map((answer) => (answer.status === "fulfilled" ? answer.value : undefined));
  const ready = states.filter((state) => state?.ready === true);
  const [first] = ready.length > 0 ? ready : states.filter((state) => state !== undefined);
  const detail = first?.detail ?? "none of them answers";
  return { ready: ready.length > 0, detail: `${ready.length} of ${kept.length} workers: ${detail}` };
}
