import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createMetrics } from "../../../core/metrics.ts";
import { callMetrics } from "../../../gateway/invoke/call-metrics.ts";

describe("the latency of requests", () => {
  it("is told apart by methods that there are, not by what clients call one", () => {
    const metrics = createMetrics();
    const counts = callMetrics(metrics);

    for (const method of ["POST", "PURGE", "X-1", "X-2"]) counts.answered({ path: "/t", method }, 200, undefined, 1);

    const methods = metrics.render().matchAll(/^fn_api_latency_count\{.*method="([^"]+)".*\} (\d+)$/gm);
    assert.deepEqual(
      [...methods].map(([, method, count]) => [method, count]),
      [
        ["POST", "1"],
        ["other", "3"],
      ],
    );
  });
});
