import type { Clock } from "../core/clock.ts";
import type { Log } from "../core/log.ts";
import type { Metrics } from "../core/metrics.ts";
import { Roster } from "../core/roster.ts";
import type { Capacity, OfferedCall, RunnerHello } from "../core/session/frames.ts";
import type { StatusCheck } from "../core/status-check.ts";
import { CallRun, type RunnerOverrider } from "./calls/call-run.ts";
import { drainCalls, type DrainReport } from "./drain.ts";
import type { Driver, DriverHook, RunCall } from "./driver/driver.ts";
import { wrapCall, wrapStart } from "./driver/hooks.ts";
import { Containers } from "./hot/containers.ts";
import { createFreezing } from "./hot/freezing.ts";
import type { HotFunction } from "./hot/hot-function.ts";
import { createLaunch, type FunctionContact, type LaunchLimits } from "./hot/launch.ts";
import type { SocketDirectories } from "./hot/socket-directory.ts";
import { FunctionLogs } from "./logs/function-logs.ts";
import type { CallPort, OfferedCallHandler } from "./rpc/call-port.ts";
import { runnerGauges, runnerMetrics } from "./runner-metrics.ts";
import { NOTHING, Resources } from "./slots/resources.ts";
import { SlotTable } from "./slots/slot-table.ts";
import type { Booking, SlotLimits } from "./slots/slot.ts";
import { TaskCache } from "./slots/task-cache.ts";
import type { StatusOptions } from "./status/check-status.ts";
import { statusOf } from "./status/status.ts";

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
  /** What `check` looks at. */
  readonly status?: StatusOptions;
  readonly limits: RunnerLimits;
  readonly host: { readonly clock: Clock; readonly log: Log; readonly metrics: Metrics };
}

export interface RunnerIdentity {
  readonly runnerId: string;
  /** Another one after every start. */
  readonly bootId: string;
  readonly version: string;
}

export interface RunnerLimits extends LaunchLimits, SlotLimits {
  /** Largest response body; 0 sets no limit. */
  readonly maxResponseBytes: number;
  /** How long running calls may go on once the runner is told to stop. */
  readonly drainMs: number;
  /** How long it then waits for its containers to be removed. */
  readonly removeMs: number;
  /** Longest freezing or thawing of a container. */
  readonly freezeTimeoutMs: number;
}

/** Runs calls in hot containers. Disposing it drains: it refuses, waits, ends what is left and removes everything. */
export interface Runner extends AsyncDisposable {
  /** @param source - whose calls take turns with those of others, where they wait: a session; by default nobody's */
  offer(offered: OfferedCall, port: CallPort, source?: object): OfferedCallHandler;
  /** What functions write. */
  readonly logs: FunctionLogs;
  hello(): RunnerHello;
  status(): RunnerState;
  /**
   * Runs the operator's checks, or tells what they found a moment ago; undefined where there are none, and while it
   * drains. @throws CallError `too_many_requests`, or the signal's reason
   */
  check(body: Uint8Array, signal: AbortSignal): Promise<StatusCheck | undefined>;
  /** How it ended; undefined until it is disposed. */
  report(): DrainReport | undefined;
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
  /** Offers that ran to an outcome: refused ones are not counted. */
  readonly handled: number;
}

const NO_SESSION = {};
const CAPACITY_EVERY_MS = 50;
/** Keys in each table of a capacity frame. */
const MOST_KEYS = 64;

export function createRunner<Options>(options: RunnerOptions<Options>): Runner {
  const { identity, driver, hooks = [], overriders = [], directories, contact, limits } = options;
  const { clock, log, metrics } = options.host;
  const { logs = new FunctionLogs({ clock }) } = options;
  const { maxResponseBytes } = limits;
  const count = runnerMetrics(metrics);
  const status = statusOf<Options>({ ...options.status, driver, clock, metrics, offer: offerOwn });
  const resources = new Resources(status.leaves(options.resources));
  const observers = new Set<RunnerObserver>();
  const tasks = new TaskCache();
  const active = new Roster<CallRun>();
  const own = new Roster<CallRun>();
  const leaving = new Set<Promise<void>>();
  const hurrying = new AbortController();
  const stopping = new AbortController();
  let drained: Promise<void> | undefined;
  let report: DrainReport | undefined;
  let received = 0;
  let handled = 0;
  let capacityTold = true;

  runnerGauges(metrics, { calls: countCalls, resources, containers: () => slots.containers() });

  const launch = createLaunch({
    driver,
    directories,
    clock,
    limits,
    contact,
    start: wrapStart(driver.start, [...status.hooks, ...hooks]),
  });

  const freezing = createFreezing({ clock, log, count, timeoutMs: limits.freezeTimeoutMs });

  const background = (work: Promise<void>) => {
    leaving.add(work);
    void work.finally(() => leaving.delete(work));
  };

  const slots: SlotTable<HotFunction> = new SlotTable(
    resources,
    {
      prepare: (ticket) => background(containers.prepare(ticket)),
      start: (ticket) => background(containers.start(ticket)),
      drop: (ticket) => containers.drop(ticket),
      remove: (hot, why) => background(containers.remove(hot, why)),
      freeze: (hot) => background(freezing.freeze(hot).then((ok) => slots.froze(hot, ok))),
      thaw: (hot) => background(freezing.thaw(hot).then((ok) => slots.thawed(hot, ok))),
      changed: tellCapacity,
      trouble: () => driver.availability?.trouble,
    },
    clock,
    limits,
  );

  const containers = new Containers({ launch, slots, signal: stopping.signal, log, count });
  driver.availability?.observe(() => {
    const trouble = driver.availability?.trouble;
    if (trouble !== undefined) slots.troubled(trouble);
    tellCapacity();
  });

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
    const { total } = resources;
    // Gateways place no call for which a container would have to be started.
    const free = driver.availability?.trouble === undefined ? resources.free : NOTHING;
    const { idle, spareSlots, ...counts } = slots.load;
    return {
      freeMemoryMiB: free.memoryMiB,
      freeCpuMillis: free.cpuMillis,
      totalMemoryMiB: total.memoryMiB,
      totalCpuMillis: total.cpuMillis,
      idle: greatest(idle),
      spareSlots: greatest(spareSlots),
      ...counts,
    };
  }

  async function drain(): Promise<void> {
    // One that fails must not keep the others.
    await using owned = new AsyncDisposableStack();
    owned.defer(() => logs.end());
    owned.use(driver);
    owned.use(directories);
    for (const observer of observers) observer.draining();
    slots.close();
    report = await drainCalls({
      active,
      own,
      containers: () => Math.max(slots.size, leaving.size),
      canRemove: () => driver.availability?.trouble === undefined,
      stopStarts: (reason) => stopping.abort(reason),
      hurried: hurrying.signal,
      drainMs: limits.drainMs,
      removeMs: limits.removeMs,
      clock,
      log,
    });
  }

  function countCalls(): { queued: number; running: number } {
    let running = 0;
    for (const run of active) if (run.running) running += 1;
    return { queued: active.size - running, running };
  }

  const hooked = hooks.some(({ call }) => call !== undefined);
  const wrap = hooked ? (base: RunCall) => wrapCall(base, hooks) : undefined;
  const parts = { slots, tasks, wrap, clock, logs, maxResponseBytes };

  function offerOwn(offered: OfferedCall, port: CallPort): OfferedCallHandler {
    const run = new CallRun(offered, port, {
      ...parts,
      source: own,
      overriders: [],
      // Its room was set aside before anything else was booked.
      booking: { memoryMiB: 0, cpuMillis: 0 },
      ended: () => own.remove(seat),
    });
    const seat = own.add(run);
    run.begin();
    return run;
  }

  return {
    logs,
    offer(offered, port, source = NO_SESSION) {
      received += 1;
      const run = new CallRun(offered, port, {
        ...parts,
        source,
        overriders,
        admit: status.admit,
        ended(outcome, refused) {
          active.remove(seat);
          if (!refused) handled += 1;
          count.ended(outcome);
        },
      });
      const seat = active.add(run);
      run.begin();
      return run;
    },
    hello: () => ({ ...identity, isolation: driver.isolation, capacity: capacity() }),
    status: () => ({ draining: drained !== undefined, active: active.size, received, handled }),
    observe(observer) {
      observers.add(observer);
      return () => observers.delete(observer);
    },
    check: async (body, signal) => (drained === undefined ? status.check?.(body, signal) : undefined),
    report: () => report,
    hurry: () => hurrying.abort(),
    [Symbol.asyncDispose]: () => (drained ??= drain()),
  };
}

function greatest(counts: ReadonlyMap<string, number>): Record<string, number> {
  if (counts.size <= MOST_KEYS) return Object.fromEntries([...counts].filter(([, count]) => count > 0));
  let best: [key: string, count: number][] = [];
  let least = 0;
  // Without an array of all: there may be many thousands, and this is done many times a second.
  counts.forEach((count, key) => {
    if (count <= least) return;
    best.push([key, count]);
    if (best.length < 2 * MOST_KEYS) return;
    best = best.sort(([, a], [, b]) => b - a).slice(0, MOST_KEYS);
    least = best.at(-1)?.[1] ?? 0;
  });
  return Object.fromEntries(best.sort(([, a], [, b]) => b - a).slice(0, MOST_KEYS));
}
