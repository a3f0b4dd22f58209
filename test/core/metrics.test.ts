import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createMetrics } from "../../core/metrics.ts";

describe("createMetrics", () => {
  it("renders counters and gauges by their labels", () => {
    const metrics = createMetrics();
    const calls = metrics.counter("fn_calls", "Calls");
    const running = metrics.gauge("fn_running", "Running");
    calls.add(1, { outcome: "ok" });
    calls.add(2, { outcome: "ok" });
    calls.add(1, { outcome: 'a "b"' });
    running.add(3);
    running.add(-1);

    assert.equal(
      metrics.render(),
      [
        "# HELP fn_calls Calls",
        "# TYPE fn_calls counter",
        'fn_calls{outcome="ok"} 3',
        'fn_calls{outcome="a \\"b\\""} 1',
        "# HELP fn_running Running",
        "# TYPE fn_running gauge",
        "fn_running 2",
        "",
      ].join("\n"),
    );
  });

  it("reads what is not kept each time it renders, and escapes what the format escapes", () => {
    const metrics = createMetrics();
    let open = 1;
    metrics.read("fds", "Open\nfiles", () => [[open, { path: 'C:\\a"b\nc\u0001' }]]);
    metrics.read("cpu_seconds_total", "CPU", () => [[2]], "counter");

    open = 7;

    assert.equal(
      metrics.render(),
      [
        "# HELP fds Open\\nfiles",
        "# TYPE fds gauge",
        'fds{path="C:\\\\a\\"b\\nc\u0001"} 7',
        "# HELP cpu_seconds_total CPU",
        "# TYPE cpu_seconds_total counter",
        "cpu_seconds_total 2",
        "",
      ].join("\n"),
    );
  });

  it("renders histograms with cumulative buckets", () => {
    const metrics = createMetrics();
    const latency = metrics.histogram("fn_ms", "Latency", [1, 10]);
    const ofA = latency.of({ fn: "a" });
    for (const value of [0.5, 50]) latency.observe(value, { fn: "a" });
    ofA(5);

    const text = metrics.render();

    assert.match(
      text,
      /fn_ms_bucket\{fn="a",le="1"\} 1\nfn_ms_bucket\{fn="a",le="10"\} 2\nfn_ms_bucket\{fn="a",le="\+Inf"\} 3/,
    );
    assert.match(text, /fn_ms_sum\{fn="a"\} 55.5\nfn_ms_count\{fn="a"\} 3/);
  });
});
