import { ERROR_CODES, type ErrorCode } from "../core/error-codes.ts";
import type { Labels, Metrics } from "../core/metrics.ts";
import type { LaunchTimings } from "./hot/hot-function.ts";
import { CONTAINER_STATES, type ContainerView } from "./slots/container-view.ts";
import type { Booking } from "./slots/slot.ts";

const MIB = 1024 * 1024;
const START_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600];

/** What a runner counts, under Fn's names where Fn has one. */
export interface RunnerMetrics {
  ended(outcome: ErrorCode | "ok"): void;
  started(timings: LaunchTimings): void;
  startFailed(code: ErrorCode): void;
  removed(why: string): void;
  froze(ok: boolean): void;
  thawed(ok: boolean, ms: number): void;
}

export function runnerMetrics(metrics: Metrics): RunnerMetrics {
  const calls = metrics.counter("fn_runner_calls", "Calls by outcome");
  const outcomes = outcomeCounters(metrics);
  const starts = metrics.counter("fn_container_starts", "Containers started, by outcome");
  const removals = metrics.counter("fn_container_removals", "Containers removed, by reason");
  const evictions = metrics.counter("fn_container_evictions", "Idle containers removed to make room for another");
  const startSeconds = metrics.histogram(
    "fn_container_start_duration_seconds",
    "Creating and starting a container, seconds",
    START_SECONDS,
  );
  const pullSeconds = metrics.histogram(
    "fn_container_pull_duration_seconds",
    "What a start waits for its image, seconds",
    START_SECONDS,
  );
  const initMs = metrics.histogram(
    "fn_container_uds_init_latency",
    "From a container's start to its socket, milliseconds",
  );
  const freezes = metrics.counter("fn_container_freezes", "Idle containers frozen, by outcome");
  const thaws = metrics.counter("fn_container_thaws", "Containers thawed for a call, by outcome");
  const thawMs = metrics.histogram(
    "fn_container_thaw_ms",
    "What a call waits for its container to thaw, milliseconds",
    [0.25, 0.5, 1, 2, 5, 10, 25, 50, 100, 500, 5_000],
  );
  return {
    ended(outcome) {
      calls.add(1, { outcome });
      outcomes.calls.add();
      outcomes[familyOf(outcome)].add();
    },
    started(timings) {
      starts.add(1, { outcome: "ok" });
      pullSeconds.observe(timings.pullMs / 1_000);
      startSeconds.observe(timings.startMs / 1_000);
      initMs.observe(timings.initMs);
    },
    startFailed: (code) => starts.add(1, { outcome: code }),
    removed(why) {
      removals.add(1, { why });
      if (why === "evicted") evictions.add();
    },
    froze: (ok) => freezes.add(1, { outcome: ok ? "ok" : "failed" }),
    thawed(ok, ms) {
      thaws.add(1, { outcome: ok ? "ok" : "failed" });
      if (ok) thawMs.observe(ms);
    },
  };
}

/** Fn's counters, which gateways have as well. */
function outcomeCounters(metrics: Metrics) {
  return {
    calls: metrics.counter("fn_calls", "Calls that were offered"),
    completed: metrics.counter("fn_completed", "Calls whose function answered"),
    canceled: metrics.counter("fn_canceled", "Calls whose client left"),
    timeouts: metrics.counter("fn_timeouts", "Calls that ran out of time"),
    server_busy: metrics.counter(
      "fn_server_busy",
      "Calls that were refused for want of room, or for the end of this runner",
    ),
    errors: metrics.counter("fn_errors", "Calls that failed in another way"),
  };
}

function familyOf(outcome: ErrorCode | "ok"): "completed" | "canceled" | "timeouts" | "server_busy" | "errors" {
  if (outcome === "ok") return "completed";
  if (outcome === "client_cancel") return "canceled";
  if (outcome === "server_busy" || outcome === "shutting_down") return "server_busy";
  return ERROR_CODES[outcome].status === 504 ? "timeouts" : "errors";
}

export interface RunnerGauges {
  /** Calls that have no slot yet, and those that have one. */
  calls(): { readonly queued: number; readonly running: number };
  /** What containers have booked, and what is left. */
  readonly resources: { readonly free: Booking; readonly total: Booking };
  containers(): Iterable<ContainerView>;
}

/** Read when they are asked for: nothing of them is kept. */
export function runnerGauges(metrics: Metrics, { calls, resources, containers }: RunnerGauges): void {
  metrics.read("fn_queued", "Calls waiting for a container", () => [[calls().queued]]);
  metrics.read("fn_running", "Calls in a container", () => [[calls().running]]);
  for (const state of CONTAINER_STATES) {
    metrics.read(`fn_container_${state}_total`, `Containers in this state: ${state}`, () =>
      counted(containers(), state),
    );
  }
  const used = (of: keyof Booking) => resources.total[of] - resources.free[of];
  metrics.read("fn_util_cpu_used", "CPU that containers have booked, thousandths of a core", () => [
    [used("cpuMillis")],
  ]);
  metrics.read("fn_util_cpu_avail", "CPU that is left, thousandths of a core", () => [[resources.free.cpuMillis]]);
  metrics.read("fn_util_mem_used", "Memory that containers have booked, bytes", () => [[used("memoryMiB") * MIB]]);
  metrics.read("fn_util_mem_avail", "Memory that is left, bytes", () => [[resources.free.memoryMiB * MIB]]);
}

/** By function, as many as there are now: what is gone has no row. */
function counted(containers: Iterable<ContainerView>, state: ContainerView["state"]): [number, Labels][] {
  const rows = new Map<string, [number, Labels]>();
  for (const { task, state: own } of containers) {
    if (own !== state) continue;
    const { appId: app_id, fnId: fn_id, image: image_name } = task;
    const key = JSON.stringify([app_id, fn_id, image_name]);
    const row = rows.get(key) ?? [0, { app_id, fn_id, image_name }];
    row[0] += 1;
    rows.set(key, row);
  }
  return [...rows.values()];
}
