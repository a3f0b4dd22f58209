import { once } from "node:events";
import process from "node:process";

import { systemClock } from "../clock.ts";
import type { Log } from "../log.ts";
import { createMetrics } from "../metrics.ts";
import { processMetrics } from "../process-metrics.ts";
import type { Readiness } from "../readiness.ts";
import type { StopRequests } from "../stop-requests.ts";
import { keepWorker, type KeptWorker } from "./kept-worker.ts";
import { MetricsSum } from "./metrics-sum.ts";
import type { Vitals } from "./vitals.ts";
import type { Serving, WorkerPlace } from "./worker-place.ts";
import { startWorker } from "./worker-process.ts";

export interface WorkersOptions {
  readonly count: number;
  /** Settings in which one differs from the others. */
  readonly settingsOf: (place: WorkerPlace) => Readonly<Record<string, unknown>>;
  readonly restartMaxMs: number;
  /** How long calls may go on once it is told to stop. */
  readonly drainMs: number;
  /** How long one may clean up then. */
  readonly cleanUpMs: number;
  /** Heeded from the first start on. */
  readonly stop: Pick<StopRequests, "asked" | "hurried">;
  readonly log: Log;
}

/** Several processes that serve as one. Disposing them drains them all, and waits no longer once `hurried` is aborted. */
export interface Workers extends AsyncDisposable {
  /** Of all of them, separated by commas; of none where a stop was asked for while they were started. */
  readonly address: string;
  readonly admin: string | undefined;
  /** Aborted once the last start of each has failed. */
  readonly lost: AbortSignal;
  /** 0 only where each of them ended well; 1 before others. */
  exitCode(): number;
}

/**
 * Starts this program so many times more, and watches over it. The first is started alone, so that what is wrong with
 * the configuration is said once. Waits for all to serve, or for a stop.
 * @throws Error if one ends before it serves, when none is left
 */
export async function startWorkers(options: WorkersOptions): Promise<Workers> {
  const { count, settingsOf, restartMaxMs, drainMs, cleanUpMs, stop, log } = options;
  const { asked } = stop;
  if (process.versions["deno"] !== undefined) {
    // Its children would have all permissions, whatever it was given itself.
    throw new Error(`Cannot start ${count} workers on Deno: start several with ports of their own, or run it on Node`);
  }
  const metrics = createMetrics();
  const sum = new MetricsSum();
  const kept: KeptWorker[] = [];
  const lost = new AbortController();
  let codes: readonly number[] = [];
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
      start: (before) =>
        startWorker({ number, settings: settingsOf({ number, before, first }), whole, clock: systemClock }),
      restartMaxMs,
      graceMs: drainMs,
      cleanUpMs,
      stop,
      left: () => sum.left(String(number)),
      again: () => restarts.add(),
      othersMayServe: () => kept.some(({ mayServe }) => mayServe),
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

  const startAll = async (): Promise<readonly Serving[]> => {
    first = await keep(1);
    const others = asked.aborted ? [] : numbersTo(count).slice(1).map(keep);
    return [first, ...(await Promise.all(others))];
  };
  const end = async () => {
    codes = await Promise.all(kept.map((one) => one.end()));
  };

  let served: readonly Serving[] = [];
  try {
    served = await Promise.race([startAll(), whenAborted(asked).then(() => [])]);
  } catch (error) {
    await end();
    // A signal to all of them may end a worker before it listens for it, and be heard of here only then.
    if (!asked.aborted) throw error;
  }
  return {
    address: [...new Set(served.map(({ address }) => address))].join(","),
    admin: first?.admin,
    lost: lost.signal,
    exitCode: () => (lost.signal.aborted || codes.includes(1) ? 1 : Math.max(0, ...codes)),
    [Symbol.asyncDispose]: end,
  };
}

async function whenAborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
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
