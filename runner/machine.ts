import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

import type { Booking } from "./slots/slot.ts";

export interface MachineClamps {
  /** Bytes; 0 clamps nothing. */
  readonly maxMemoryBytes: number;
  /** Thousandths of a core; 0 clamps nothing. */
  readonly maxCpuMillis: number;
}

const MIB = 1024 * 1024;
const LEAST_HEADROOM_BYTES = 256 * MIB;
const MOST_HEADROOM_BYTES = 5 * 1024 * MIB;

/** What containers may book here: the machine or its cgroup, less headroom, clamped. @throws Error if nothing is left */
export function machineResources({ maxMemoryBytes, maxCpuMillis }: MachineClamps): Booking {
  const available = Math.min(memAvailable(), cgroupMemory());
  const headroom = Math.min(MOST_HEADROOM_BYTES, Math.max(LEAST_HEADROOM_BYTES, available / 10));
  const memory = clamp(available - headroom, maxMemoryBytes);
  const cpu = clamp(Math.min(availableParallelism() * 1_000, cgroupCpuMillis()), maxCpuMillis);
  if (memory < MIB) {
    throw new Error(`Cannot start: ${Math.floor(available / MIB)} MiB of memory leave nothing for functions`);
  }
  return { memoryMiB: Math.floor(memory / MIB), cpuMillis: Math.floor(cpu) };
}

function memAvailable(): number {
  const match = /^MemAvailable:\s+(\d+) kB$/m.exec(readOr("/proc/meminfo", ""));
  // Elsewhere than on Linux nobody says; Fn assumes as much.
  return match?.[1] === undefined ? 2 * 1024 * MIB : Number(match[1]) * 1_024;
}

function cgroupMemory(): number {
  const text = readOr("/sys/fs/cgroup/memory.max", readOr("/sys/fs/cgroup/memory/memory.limit_in_bytes", "max"));
  const bytes = Number(text);
  return Number.isFinite(bytes) && bytes > 0 ? bytes : Infinity;
}

function cgroupCpuMillis(): number {
  const [quota, period] = readOr("/sys/fs/cgroup/cpu.max", v1CpuMax()).split(/\s+/).map(Number);
  return quota !== undefined && period !== undefined && quota > 0 ? (quota * 1_000) / period : Infinity;
}

function v1CpuMax(): string {
  const quota = readOr("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1");
  return `${quota} ${readOr("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000")}`;
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return otherwise;
  }
}

function clamp(value: number, most: number): number {
  return most > 0 ? Math.min(value, most) : value;
}
