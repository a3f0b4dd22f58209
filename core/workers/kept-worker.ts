import { pause, type Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { StopRequests } from "../stop-requests.ts";
import { restartDelayMs } from "./settings.ts";
import type { Vitals } from "./vitals.ts";
import type { Serving } from "./worker-place.ts";
import type { WorkerExit, WorkerProcess } from "./worker-process.ts";

/** One of several workers, whichever process it is at the time. */
export interface KeptWorker {
  /** Where it serves, while it does. */
  readonly serving: Serving | undefined;
  /** Whether it serves, or may after the start that is under way or the next one: not where the last one has failed. */
  readonly mayServe: boolean;
  /** What it tells of itself, while it serves. */
  readonly vitals: Vitals | undefined;
  /** Resolves once its first process serves. @throws Error where that ended before; there is no other then */
  readonly began: Promise<Serving>;
  /** Asks it to end, and ends it by force when it does not. Resolves to its exit code. */
  end(): Promise<number>;
}

export interface KeptWorkerOptions {
  /** From 1. */
  readonly number: number;
  /** Starts a process of it; with where it served, if it is started again. */
  readonly start: (before: Serving | undefined) => WorkerProcess;
  readonly restartMaxMs: number;
  /** How long it may wait for calls when it ends. */
  readonly graceMs: number;
  /** How long it may clean up then. */
  readonly cleanUpMs: number;
  /** What is asked of all: a signal may have reached its process too, which then ends and is not started again. */
  readonly stop: Pick<StopRequests, "asked" | "hurried">;
  /** Told when one of its processes is gone. */
  readonly left: () => void;
  /** Told when one is started in the place of another. */
  readonly again: () => void;
  /** Asked when it may not serve itself. */
  readonly othersMayServe: () => boolean;
  /** Told when it is given up, since its start has failed and so has every other's. */
  readonly lost: () => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** One that served for so long has not ended by how it was started. */
const STEADY_MS = 60_000;
/** For all else that an end takes, on a machine under load. */
const LEAVING_MS = 15_000;

/** Starts a worker, and another in its place whenever one ends unasked. */
export function keepWorker(options: KeptWorkerOptions): KeptWorker {
  const { number, clock, log } = options;
  const { asked, hurried } = options.stop;
  const began = Promise.withResolvers<Serving>();
  const ending = new AbortController();
  const stopping = AbortSignal.any([asked, ending.signal]);
  let worker: WorkerProcess;
  let serving: Serving | undefined;
  let mayServe = true;
  let exitCode: number;

  const keep = async () => {
    let before: Serving | undefined;
    for (let ends = 0; ; ends++) {
      mayServe = true;
      worker = options.start(before);
      serving = await worker.serving;
      const since = clock.now();
      const served = serving !== undefined;
      if (serving !== undefined) {
        log.info("Worker serves", { worker: number, pid: worker.pid });
        began.resolve((before = serving));
      }
      const last = await worker.exited;
      serving = undefined;
      mayServe = served;
      exitCode = stopping.aborted && !served ? codeOfCutStart(last) : (last.code ?? 1);
      // Of no effect where one has served before.
      began.reject(new Error(`Worker ${number} ${howItFailed(last)}`));
      options.left();
      if (stopping.aborted || before === undefined) return;
      if (!served && !options.othersMayServe()) return options.lost();
      if (served && clock.now() - since > STEADY_MS) ends = 0;
      const inMs = restartDelayMs(ends, options.restartMaxMs);
      log.error("Worker ended, another is started in its place", { worker: number, pid: worker.pid, ...last, inMs });
      await pause(clock, inMs, stopping);
      if (stopping.aborted) return;
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
    get mayServe() {
      return mayServe;
    },
    get vitals() {
      return serving === undefined ? undefined : worker.vitals;
    },
    began: began.promise,
    async end() {
      ending.abort();
      worker.stop();
      const hurry = () => worker.hurry();
      hurried.addEventListener("abort", hurry, { once: true });
      if (hurried.aborted) hurry();
      await pause(clock, options.graceMs, AbortSignal.any([gone.signal, hurried]));
      await pause(clock, options.cleanUpMs + LEAVING_MS, gone.signal);
      if (!gone.signal.aborted) {
        log.error("Worker did not end and is killed", { worker: number, pid: worker.pid });
        worker.kill();
      }
      await kept;
      hurried.removeEventListener("abort", hurry);
      return exitCode;
    },
  };
}

/**
 * A stop may end a start in any way: by a signal that nobody listens for yet, or one that reached a process which it
 * needs. Nothing was lost by that, unless it had to be killed.
 */
function codeOfCutStart({ signal }: WorkerExit): number {
  return signal === "SIGKILL" ? 1 : 0;
}

function howItFailed({ code, signal, reason }: WorkerExit): string {
  if (reason !== undefined) return `could not be started: ${reason}`;
  return `${signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`} before it served`;
}
