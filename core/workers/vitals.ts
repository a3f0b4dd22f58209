import { type MetricFamily, renderMetrics } from "../metrics.ts";
import type { Readiness } from "../readiness.ts";

/** What a process tells its operators of itself, and its parent of all its workers together. */
export interface Vitals {
  metrics(): readonly MetricFamily[] | Promise<readonly MetricFamily[]>;
  readiness(): Readiness | Promise<Readiness>;
}

/** The same as a server of `/metrics` takes it. */
export interface MetricsText {
  render(): string | Promise<string>;
}

export function metricsText(vitals: Vitals): MetricsText {
  return { render: async () => renderMetrics(await vitals.metrics()) };
}
