import type { CallError } from "../../core/call-error.ts";
import type { Counter, Metrics } from "../../core/metrics.ts";

/** Counts calls under Fn's names. */
export interface CallMetrics {
  /** The call waits for a runner. */
  queued(): void;
  /** A runner took it. */
  running(): void;
  /** It is over; `was` is what it did until then. */
  ended(was: "queued" | "running", failure: CallError | undefined, fdkVersion?: string): void;
  /** A request was answered, placed or not. */
  answered(
    request: { readonly path: string; readonly method: string },
    status: number,
    failure: CallError | undefined,
    ms: number,
  ): void;
}

/** Functions say it: without a bound one could fill the memory. */
const MOST_FDKS = 100;
const LONGEST_FDK = 64;
/** Clients say it, and over HTTP/2 any word will do. */
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

export function callMetrics(metrics: Metrics): CallMetrics {
  const calls = metrics.counter("fn_calls", "Calls that were to be placed");
  const completed = metrics.counter("fn_completed", "Calls whose function answered");
  const errors = metrics.counter("fn_errors", "Calls that failed in another way than those counted apart");
  const timeouts = metrics.counter("fn_timeouts", "Calls that ran out of time");
  const canceled = metrics.counter("fn_canceled", "Calls whose client left");
  const serverBusy = metrics.counter("fn_server_busy", "Calls that no runner took");
  const gauges = {
    queued: metrics.gauge("fn_queued", "Calls waiting for a runner"),
    running: metrics.gauge("fn_running", "Calls on a runner"),
  };
  const latency = metrics.histogram("fn_api_latency", "Milliseconds from request to answer");
  const latencies = new Map<string, (ms: number) => void>();

  const fdks = metrics.counter("fn_fdk_calls", "Calls whose function said which FDK it was made with");
  const seen = new Set<string>();
  const known = (fdk: string): string => {
    if (seen.size < MOST_FDKS && fdk.length <= LONGEST_FDK) seen.add(fdk);
    return seen.has(fdk) ? fdk : "other";
  };

  const outcome = (failure: CallError | undefined): Counter => {
    if (failure === undefined) return completed;
    if (failure.code === "client_cancel") return canceled;
    if (failure.code === "server_busy") return serverBusy;
    // A detached call past its deadline is Fn's "reservation failure", a 500.
    return failure.status === 504 || failure.code === "reservation_failed" ? timeouts : errors;
  };

  return {
    queued() {
      calls.add();
      gauges.queued.add(1);
    },
    running() {
      gauges.queued.add(-1);
      gauges.running.add(1);
    },
    ended(was, failure, fdkVersion) {
      gauges[was].add(-1);
      if (fdkVersion !== undefined) fdks.add(1, { fn_fdk_version: known(fdkVersion) });
      outcome(failure).add();
    },
    answered(request, status, failure, ms) {
      const { path } = request;
      const method = METHODS.has(request.method) ? request.method : "other";
      // Fn's two kinds: what a caller sends is the user's too.
      const blame = failure?.blame === "platform" ? "service" : "user";
      const which = `${path} ${method} ${status} ${blame}`;
      let observe = latencies.get(which);
      if (observe === undefined)
        latencies.set(which, (observe = latency.of({ path, method, status: String(status), blame })));
      observe(ms);
    },
  };
}
