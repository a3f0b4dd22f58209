import { callsPerSecond, pathMicros } from "./budget.ts";
import type { Measurement } from "./rounds.ts";
import { shownSpread } from "./table.ts";

/** The columns of `callCells`. */
export const CALL_HEAD = [
  "gateway µs",
  "runner µs",
  "both µs",
  "function µs",
  "load µs",
  "p50 ms",
  "p99 ms",
  "p99.9 ms",
  "calls/s",
] as const;

/** A row of calls: CPU time of each process per call, latencies, throughput. Empty where a process is not known. */
export function callCells(figures: readonly Measurement[]): string[] {
  const cpu = (party: string) => shownIfKnown(figures.map(({ cpuMicros, calls }) => (cpuMicros[party] ?? NaN) / calls));
  const latency = (of: (figure: Measurement) => number) => shownSpread(figures.map(of), 2);
  return [
    cpu("gateway"),
    cpu("runner"),
    shownIfKnown(pathMicros(figures)),
    cpu("function"),
    cpu("load"),
    latency(({ p50Ms }) => p50Ms),
    latency(({ p99Ms }) => p99Ms),
    latency(({ p999Ms }) => p999Ms),
    shownSpread(callsPerSecond(figures)),
  ];
}

function shownIfKnown(values: readonly number[]): string {
  return values.some(Number.isNaN) ? "" : shownSpread(values);
}
