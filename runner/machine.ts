import { availableParallelism } from "node:os";
import { join } from "node:path";

import type { Settings } from "../core/config.ts";
import { cgroupLimits, textOf } from "./cgroup-limits.ts";
import type { RUNNER_SETTINGS } from "./settings.ts";
import type { Booking } from "./slots/slot.ts";

export interface MachineOptions {
  /** Most memory, bytes; 0 clamps nothing. */
  readonly maxMemoryBytes: number;
  /** Most CPU, thousandths of a core; 0 clamps nothing. */
  readonly maxCpuMillis: number;
  /** Namespace holders, each of which takes some memory beside the containers. */
  readonly preforkPoolSize?: number;
  /** Where the kernel shows processes; another place only in tests. */
  readonly proc?: string;
  /** Cores this process may use. */
  readonly cores?: number;
}

const MIB = 1024 * 1024;
const LEAST_HEADROOM_BYTES = 256 * MIB;
const MOST_HEADROOM_BYTES = 5 * 1024 * MIB;
const HOLDER_BYTES = MIB;
/** What Fn assumes where nobody says: elsewhere than on Linux. */
const UNKNOWN_MEMORY_BYTES = 2 * 1024 * MIB;

/**
 * What containers may book here: what the machine has free, or this process's cgroup if that has less, without some
 * headroom for the runner and the system, and no more than the operator allows.
 * @throws Error saying what there is and what takes it, if nothing is left
 */
export function machineResources(options: MachineOptions): Booking {
  const { maxMemoryBytes, maxCpuMillis, preforkPoolSize = 0, proc = "/proc", cores = availableParallelism() } = options;
  const limits = cgroupLimits(proc);
  const available = Math.min(memAvailable(proc), limits.memoryBytes);
  // Fn counts holders within these bounds, and so not at all on a small machine.
  const forSystem = Math.min(MOST_HEADROOM_BYTES, Math.max(LEAST_HEADROOM_BYTES, available / 10));
  const headroom = forSystem + preforkPoolSize * HOLDER_BYTES;
  const memory = clamp(available - headroom, maxMemoryBytes);
  if (memory < MIB) throw new Error(nothingLeft("memory", mib(available), `${mib(headroom)} are kept for the system`));
  const cpu = Math.floor(clamp(Math.min(cores * 1_000, limits.cpuMillis), maxCpuMillis));
  if (cpu < 1) throw new Error(nothingLeft("CPU", `${cpu} thousandths of a core`, "the least is 1"));
  return { memoryMiB: Math.floor(memory / MIB), cpuMillis: cpu };
}

/** The same as the settings say. */
export function runnerResources(settings: Settings<typeof RUNNER_SETTINGS>): Booking {
  return machineResources({
    maxMemoryBytes: settings.FN_MAX_TOTAL_MEMORY_BYTES,
    maxCpuMillis: settings.FN_MAX_TOTAL_CPU_MCPUS,
    preforkPoolSize: settings.FN_DRIVER === "docker" ? settings.FN_EXPERIMENTAL_PREFORK_POOL_SIZE : 0,
  });
}

function memAvailable(proc: string): number {
  const match = /^MemAvailable:\s+(\d+) kB$/m.exec(textOf(join(proc, "meminfo")));
  return match?.[1] === undefined ? UNKNOWN_MEMORY_BYTES : Number(match[1]) * 1_024;
}

function nothingLeft(what: string, has: string, why: string): string {
  return `Cannot start: nothing is left of this machine's ${what} for functions: it has ${has}, and ${why}`;
}

function mib(bytes: number): string {
  return `${Math.floor(bytes / MIB)} MiB`;
}

function clamp(value: number, most: number): number {
  return most > 0 ? Math.min(value, most) : value;
}
