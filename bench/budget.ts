import type { Measurement } from "./rounds.ts";
import { spread } from "./statistics.ts";

/** CPU time of gateway and runner per call, microseconds, of each round. */
export function pathMicros(figures: readonly Measurement[]): readonly number[] {
  return figures.map(({ cpuMicros, calls }) => ((cpuMicros["gateway"] ?? NaN) + (cpuMicros["runner"] ?? NaN)) / calls);
}

export function callsPerSecond(figures: readonly Measurement[]): readonly number[] {
  return figures.map(({ calls, elapsedMs }) => (calls * 1_000) / elapsedMs);
}

export interface Budget {
  readonly what: string;
  readonly measured: number;
  readonly limit: number;
  /** Whether it must not be above its limit, or not below. */
  readonly at: "most" | "least";
}

/** `1.21`: what is measured over its bound, round by round, and the median of that. */
export function ratioOf(figures: readonly number[], bound: readonly number[]): number {
  return spread(figures.map((value, round) => value / (bound[round] ?? NaN))).median;
}

export function budgetRow({ what, measured, limit, at }: Budget): readonly string[] {
  const met = at === "most" ? measured <= limit : measured >= limit;
  return [what, measured.toFixed(2), `${at === "most" ? "≤" : "≥"} ${limit}`, met ? "met" : "missed"];
}

/** What the bound itself measures, where there is no limit but to stand beside it. */
export function boundRow(what: string, measured: number): readonly string[] {
  return [what, measured.toFixed(2), "", "bound"];
}

export const BUDGET_HEAD = ["budget", "measured", "limit", ""] as const;
