import type { ErrorCode } from "../core/error-codes.ts";
import type { Metrics } from "../core/metrics.ts";
import type { LaunchTimings } from "./hot/hot-function.ts";

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
  const starts = metrics.counter("fn_container_starts", "Containers started, by outcome");
  const removals = metrics.counter("fn_container_removals", "Containers removed, by reason");
  const startMs = metrics.histogram("fn_container_start_ms", "Creating and starting a container, milliseconds");
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
    ended: (outcome) => calls.add(1, { outcome }),
    started(timings) {
      starts.add(1, { outcome: "ok" });
      startMs.observe(timings.startMs);
      initMs.observe(timings.initMs);
    },
    startFailed: (code) => starts.add(1, { outcome: code }),
    removed: (why) => removals.add(1, { why }),
    froze: (ok) => freezes.add(1, { outcome: ok ? "ok" : "failed" }),
    thawed(ok, ms) {
      thaws.add(1, { outcome: ok ? "ok" : "failed" });
      if (ok) thawMs.observe(ms);
    },
  };
}
