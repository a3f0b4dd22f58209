import { readdirSync } from "node:fs";
import process from "node:process";

import type { Metrics } from "./metrics.ts";

/** What this process takes of the machine, under the names that Prometheus' own clients use. */
export function processMetrics(metrics: Metrics): void {
  const startedAt = Date.now() / 1_000 - process.uptime();
  const cpuSeconds = () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000_000;
  };
  metrics.read("process_start_time_seconds", "Start of this process, seconds since 1970", () => [[startedAt]]);
  metrics.read("process_cpu_seconds_total", "CPU time of this process, seconds", () => [[cpuSeconds()]], "counter");
  metrics.read("process_resident_memory_bytes", "Memory of this process, bytes", () => [[process.memoryUsage.rss()]]);
  metrics.read("process_open_fds", "Open file descriptors of this process", openDescriptors);
}

function openDescriptors(): readonly (readonly [number])[] {
  try {
    return [[readdirSync("/proc/self/fd").length]];
  } catch {
    return [];
  }
}
