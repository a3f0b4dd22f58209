import { pause, type Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import { restartDelayMs } from "./settings.ts";
import type { Vitals } from "./vitals.ts";
import type { Serving } from "./worker-place.ts";
import { startWorker, type WorkerExit, type WorkerProcess } from "./worker-process.ts";

/** One of several workers, whichever process it is at the time. */
export interface KeptWorker {
  /** Where it serves, while it does. */
  readonly serving: Serving | undefined;
  /** What it tells of itself, while it serves. */
  readonly vitals: Vitals | undefined;
  /** Resolves once its first process serves. @throws Error where that ended before; there is no other then */
  readonly began: Promise<Serving>;
  /** Asks it to end, and ends it by force when it does not. Resolves to its exit code. */
  end(hurried: AbortSignal): Promise<number>;
}

export interface KeptWorkerOptions {
  /** From 1. */
  readonly number: number;
  /** Its own settings; with where it served, if it is started again. */
  readonly settings: (before: Serving | undefined) => Readonly<Record<string, unknown>>;
  readonly whole: Vitals;
  readonly restartMaxMs: number;
  /** How long it may take to end by itself. */
  readonly graceMs: number;
  /** Told when one of its processes is gone. */
  readonly left: () => void;
  /** Told when one is started in the place of another. */
  readonly again: () => void;
  /** Whether another worker serves. */
  readonly othersServe: () => boolean;
  /** Told when it is given up, since it cannot be started again and no other serves. */
  readonly lost: () => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** One that served for so long has not ended by how it was started. */
const STEADY_MS = 60_000;
/** What is left once calls are no longer waited for: a runner's containers are removed within 30 s. */
const LEAVING_MS = 45_000;

/** Starts a worker, and another in its place whenever one ends unasked. */
export function keepWorker(options: KeptWorkerOptions): KeptWorker {
  const { number, whole, clock, log } = options;
  const began = Promise.withResolvers<Serving>();
  const stopping = new AbortController();
  let worker: WorkerProcess;
  let serving: Serving | undefined;
  let last: WorkerExit;

  const keep = async () => {
    let before: Serving | undefined;
    for (let ends = 0; ; ends++) {
      worker = startWorker({ number, settings: options.settings(before), whole, clock });
      serving = await worker.serving;
      const since = clock.now();
      const served = serving !== undefined;
      if (serving !== undefined) {
        log.info("Worker serves", { worker: number, pid: worker.pid });
        began.resolve((before = serving));
      }
      last = await worker.exited;
      serving = undefined;
      // Of no effect where one has served before.
      began.reject(new Error(`Worker ${number} ${howItFailed(last)}`));
      options.left();
      if (stopping.signal.aborted || before === undefined) return;
      if (!served && !options.othersServe()) return options.lost();
      if (served && clock.now() - since > STEADY_MS) ends = 0;
      const inMs = restartDelayMs(ends, options.restartMaxMs);
      log.error("Worker ended, another is started in its place", { worker: number, pid: worker.pid, ...last, inMs });
      await pause(clock, inMs, stopping.signal);
      if (stopping.signal.aborted) return;
      options.again();
    }
  };
  began.promise.catch(() => {});
  const gone = new AbortController();
  const kept = keep().finally(() => gone.abort());

  return {
    get serving() {
      return serving;
    },
    get vitals() {
      return serving === undefined ? undefined : worker.vitals;
    },
    began: began.promise,
    async end(hurried) {
      stopping.abort();
      worker.stop();
      const hurry = () => worker.hurry();
      hurried.addEventListener("abort", hurry, { once: true });
      if (hurried.aborted) hurry();
      await pause(clock, options.graceMs, AbortSignal.any([gone.signal, hurried]));
      await pause(clock, LEAVING_MS, gone.signal);
      if (!gone.signal.aborted) {
        log.error("Worker did not end and is killed", { worker: number, pid: worker.pid });
        worker.kill();
      }
      await kept;
      hurried.removeEventListener("abort", hurry);
      return last.code ?? 1;
    },
  };
}

function howItFailed({ code, signal, reason }: WorkerExit): string {
  if (reason !== undefined) return `could not be started: ${reason}`;
  return `${signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`} before it served`;
}
