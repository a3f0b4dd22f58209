import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createMetrics, renderMetrics } from "../../../core/metrics.ts";
import { MetricsSum } from "../../../core/workers/metrics-sum.ts";

/** What a worker counts that has had so many calls, each of so many milliseconds. */
function counted(calls: number, latencyMs: number) {
  const metrics = createMetrics();
  metrics.counter("fn_calls", "Calls").add(calls, { fn: "a" });
  metrics.gauge("fn_running", "Running").set(calls);
  const latency = metrics.histogram("fn_ms", "Latency", [1, 10]);
  for (let n = 0; n < calls; n++) latency.observe(latencyMs);
  metrics.read("process_cpu_seconds_total", "CPU", () => [[calls]], "counter");
  metrics.read("process_open_fds", "Open", () => [[calls, { kind: "all" }]]);
  return metrics.collect();
}

function lines(sum: MetricsSum): readonly string[] {
  return renderMetrics(sum.total())
    .trim()
    .split("\n")
    .filter((line) => !line.startsWith("# HELP"));
}

describe("MetricsSum", () => {
  it("adds up counters, gauges and buckets, and tells apart what is of a process", () => {
    const sum = new MetricsSum();

    sum.tell("1", counted(2, 0.5));
    sum.tell("2", counted(3, 5));

    assert.deepEqual(lines(sum), [
      "# TYPE fn_calls counter",
      'fn_calls{fn="a"} 5',
      "# TYPE fn_running gauge",
      "fn_running 5",
      "# TYPE fn_ms histogram",
      'fn_ms_bucket{le="1"} 2',
      'fn_ms_bucket{le="10"} 5',
      'fn_ms_bucket{le="+Inf"} 5',
      "fn_ms_sum 16",
      "fn_ms_count 5",
      "# TYPE process_cpu_seconds_total counter",
      'process_cpu_seconds_total{worker="1"} 2',
      'process_cpu_seconds_total{worker="2"} 3',
      "# TYPE process_open_fds gauge",
      'process_open_fds{kind="all",worker="1"} 2',
      'process_open_fds{kind="all",worker="2"} 3',
    ]);
  });

  it("keeps the counts of workers that are gone, so that a sum never goes back, and nothing else of them", () => {
    const sum = new MetricsSum();
    sum.tell("1", counted(1, 5));

    for (const calls of [2, 3]) {
      sum.tell("2", counted(calls, 5));
      sum.left("2");
    }

    assert.deepEqual(lines(sum), [
      "# TYPE fn_calls counter",
      'fn_calls{fn="a"} 6',
      "# TYPE fn_running gauge",
      "fn_running 1",
      "# TYPE fn_ms histogram",
      'fn_ms_bucket{le="1"} 0',
      'fn_ms_bucket{le="10"} 6',
      'fn_ms_bucket{le="+Inf"} 6',
      "fn_ms_sum 30",
      "fn_ms_count 6",
      "# TYPE process_cpu_seconds_total counter",
      'process_cpu_seconds_total{worker="1"} 1',
      "# TYPE process_open_fds gauge",
      'process_open_fds{kind="all",worker="1"} 1',
    ]);
  });
});
