import { CallError } from "../core/call-error.ts";
import type { Clock } from "../core/clock.ts";
import { pause } from "../core/clock.ts";
import type { Log } from "../core/log.ts";
import type { Metrics } from "../core/metrics.ts";
import type { Capacity, OfferedCall, RunnerHello } from "../core/session/frames.ts";
import { CallRun, type RunnerOverrider } from "./calls/call-run.ts";
import type { Driver, DriverHook } from "./driver/driver.ts";
import { wrapCall, wrapStart } from "./driver/hooks.ts";
import { createFreezing } from "./hot/freezing.ts";
import type { HotFunction } from "./hot/hot-function.ts";
import { createLaunch, type FunctionContact, type LaunchLimits } from "./hot/launch.ts";
import type { SocketDirectories } from "./hot/socket-directory.ts";
import { FunctionLogs } from "./logs/function-logs.ts";
import type { CallPort, OfferedCallHandler } from "./rpc/session.ts";
import { runnerGauges, runnerMetrics } from "./runner-metrics.ts";
import { Resources } from "./slots/resources.ts";
import { SlotTable } from "./slots/slot-table.ts";
import type { Booking, LaunchTicket } from "./slots/slot.ts";
import { TaskCache } from "./slots/task-cache.ts";

export interface RunnerOptions<Options> {
  readonly identity: RunnerIdentity;
  readonly driver: Driver<Options>;
  /** The operator's hooks; the first is the outermost. */
  readonly hooks?: readonly DriverHook<Options>[];
  /** The operator's overriders, in their order. */
  readonly overriders?: readonly RunnerOverrider[];
  /** What containers may book together. */
  readonly resources: Booking;
  readonly directories: SocketDirectories;
  /** How functions are reached: by their unix sockets, unless told. */
  readonly contact?: FunctionContact;
  /** The same that the driver writes to; nobody reads what functions write where there is none. */
  readonly logs?: FunctionLogs | undefined;
  readonly limits: RunnerLimits;
  readonly host: { readonly clock: Clock; readonly log: Log; readonly metrics: Metrics };
}

export interface RunnerIdentity {
  readonly runnerId: string;
  /** Another one after every start. */
  readonly bootId: string;
  readonly version: string;
}

export interface RunnerLimits extends LaunchLimits {
  /** Largest response body; 0 sets no limit. */
  readonly maxResponseBytes: number;
  /** How long a container is idle before it is frozen; 0 freezes at once, negative never. */
  readonly freezeIdleMs: number;
  /** How long running calls may go on once the runner is told to stop. */
  readonly drainMs: number;
}

/** Runs calls in hot containers. Disposing it drains: it refuses, waits, ends what is left and removes everything. */
export interface Runner extends AsyncDisposable {
  offer(offered: OfferedCall, port: CallPort): OfferedCallHandler;
  /** What functions write. */
  readonly logs: FunctionLogs;
  hello(): RunnerHello;
  status(): RunnerState;
  /** Stops waiting for running calls: they end now. */
  hurry(): void;
  /** Told when capacity has changed, at most every 50 ms, and when draining begins. Returns the unsubscriber. */
  observe(observer: RunnerObserver): () => void;
}

export interface RunnerObserver {
  capacity(capacity: Capacity): void;
  draining(): void;
}

export interface RunnerState {
  readonly draining: boolean;
  /** Calls that have a slot or wait for one. */
  readonly active: number;
  /** Offers since the start, refused ones included. */
  readonly received: number;
  /** Offers that ran to an outcome. */
  readonly handled: number;
}

const CAPACITY_EVERY_MS = 50;
const POLL_MS = 10;
/** What is left of a runner that stops gets this long to go. */
const REMOVAL_MS = 30_000;
/** Idle keys in a capacity frame. */
const MOST_IDLE_KEYS = 64;

export function createRunner<Options>(options: RunnerOptions<Options>): Runner {
  const { identity, driver, hooks = [], overriders = [], directories, contact, limits } = options;
  const { clock, log, metrics } = options.host;
  const { logs = new FunctionLogs({ clock }) } = options;
  const count = runnerMetrics(metrics);
  const resources = new Resources(options.resources);
  const observers = new Set<RunnerObserver>();
  const tasks = new TaskCache();
  const active = new Set<CallRun>();
  const leaving = new Set<Promise<void>>();
  const hurrying = new AbortController();
  const stopping = new AbortController();
  let drained: Promise<void> | undefined;
  let received = 0;
  let handled = 0;
  let capacityTold = true;

  runnerGauges(metrics, { calls: countCalls, resources });

  const launch = createLaunch({
    driver,
    directories,
    clock,
    limits,
    contact,
    start: wrapStart(driver.start, hooks),
  });

  const freezing = createFreezing({ clock, log, count });

  const background = (work: Promise<void>) => {
    leaving.add(work);
    void work.finally(() => leaving.delete(work));
  };

  const slots = new SlotTable<HotFunction>(
    resources,
    {
      launch: (ticket) => background(startFor(ticket)),
      remove: (hot, why) => background(removeHot(hot, why)),
      freeze: (hot) => background(freezing.freeze(hot).then((ok) => slots.froze(hot, ok))),
      thaw: (hot) => background(freezing.thaw(hot).then((ok) => slots.thawed(hot, ok))),
      changed: tellCapacity,
    },
    clock,
    limits.freezeIdleMs,
  );

  async function startFor(ticket: LaunchTicket): Promise<void> {
    const { task, registryToken } = ticket.request;
    const started = await launch(task, { registryToken }, stopping.signal).catch((error: unknown) => {
      const reason = CallError.from(unsuppressed(error), "runner_internal");
      log.warn("Container failed to start", { fn_id: task.fnId, image: task.image, reason });
      count.startFailed(reason.code);
      return reason;
    });
    if (started instanceof CallError) return slots.launchFailed(ticket, started);
    count.started(started.launchTimings);
    void started.container.exited.then(() => slots.died(started));
    slots.launched(ticket, started);
  }

  async function removeHot(hot: HotFunction, why: string): Promise<void> {
    log.debug("Removing container", { container: hot.container.id, fn_id: hot.task.fnId, why });
    count.removed(why);
    try {
      await hot.remove();
    } catch (error) {
      log.error("Container could not be removed", { container: hot.container.id, reason: error });
    }
    slots.gone(hot);
  }

  function tellCapacity(): void {
    if (!capacityTold || observers.size === 0) return;
    capacityTold = false;
    clock.after(CAPACITY_EVERY_MS, () => {
      capacityTold = true;
      const now = capacity();
      for (const observer of observers) observer.capacity(now);
    });
  }

  function capacity(): Capacity {
    const idle = [...slots.idleByAffinity].sort(([, a], [, b]) => b - a);
    const { free, total } = resources;
    return {
      freeMemoryMiB: free.memoryMiB,
      freeCpuMillis: free.cpuMillis,
      totalMemoryMiB: total.memoryMiB,
      totalCpuMillis: total.cpuMillis,
      idle: Object.fromEntries(idle.slice(0, MOST_IDLE_KEYS)),
      spareSlots: {},
      ...slots.load,
    };
  }

  async function drain(): Promise<void> {
    for (const observer of observers) observer.draining();
    slots.close();
    await until(() => active.size === 0 || hurrying.signal.aborted, limits.drainMs);
    stopping.abort(new CallError("shutting_down"));
    for (const run of active) run.end(new CallError("shutting_down"));
    await until(() => leaving.size === 0 && slots.size === 0, REMOVAL_MS);
    if (slots.size > 0) log.error("Containers are left behind", { containers: slots.size });
    await directories[Symbol.asyncDispose]();
    await driver[Symbol.asyncDispose]();
    logs.end();
  }

  function countCalls(): { queued: number; running: number } {
    let running = 0;
    for (const run of active) if (run.running) running += 1;
    return { queued: active.size - running, running };
  }

  async function until(done: () => boolean, ms: number): Promise<void> {
    const end = clock.now() + ms;
    while (!done() && clock.now() < end) await pause(clock, POLL_MS);
  }

  return {
    logs,
    offer(offered, port) {
      received += 1;
      const run = new CallRun(offered, port, {
        slots,
        tasks,
        overriders,
        wrap: (base) => wrapCall(base, hooks),
        clock,
        logs,
        maxResponseBytes: limits.maxResponseBytes,
        ended(ended, outcome) {
          active.delete(ended);
          if (outcome !== "server_busy" && outcome !== "shutting_down") handled += 1;
          count.ended(outcome);
        },
      });
      active.add(run);
      run.begin();
      return run;
    },
    hello: () => ({ ...identity, isolation: driver.isolation, capacity: capacity() }),
    status: () => ({ draining: drained !== undefined, active: active.size, received, handled }),
    observe(observer) {
      observers.add(observer);
      return () => observers.delete(observer);
    },
    hurry: () => hurrying.abort(),
    [Symbol.asyncDispose]: () => (drained ??= drain()),
  };
}

/** What went wrong first, where its cleaning up went wrong as well. */
function unsuppressed(error: unknown): unknown {
  return error instanceof SuppressedError ? unsuppressed(error.suppressed) : error;
}
