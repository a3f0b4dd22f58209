import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

import { pause, systemClock } from "../core/clock.ts";

/** Processes whose CPU time is told as one number. */
export type Parties = Readonly<Record<string, readonly number[]>>;

const TICKS_PER_SECOND = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));
const SAMPLE_EVERY_MS = 20;

/** CPU time of each party since its start, microseconds, by the kernel's account of its processes and all their threads. */
export function cpuMicros(parties: Parties): Record<string, number> {
  return Object.fromEntries(Object.entries(parties).map(([name, pids]) => [name, sum(pids.map(cpuMicrosOf))]));
}

/** What each party used between two accounts. */
export function used(before: Record<string, number>, after: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(after).map(([name, micros]) => [name, micros - (before[name] ?? 0)]));
}

/** Processes that this one has started and that still run. */
export function childrenOf(parent: number): readonly number[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => fieldsOf(pid)?.[PARENT] === String(parent));
}

export interface MemorySample {
  readonly beforeBytes: number;
  /** As the kernel saw it, which misses no peak between two looks; by our own samples where it cannot be reset. */
  readonly peakBytes: number;
}

/** Watches the resident memory of processes until it is told to stop. */
export function watchMemory(pids: Readonly<Record<string, number>>): { stop(): Promise<Record<string, MemorySample>> } {
  const resettable = Object.values(pids).every(resetPeak);
  const before = Object.entries(pids).map(([name, pid]) => [name, pid, statusBytes(pid, "VmRSS")] as const);
  const peaks = new Map(before.map(([name, , bytes]) => [name, bytes]));
  const stopping = new AbortController();
  const look = () => {
    for (const [name, pid] of before) {
      peaks.set(name, Math.max(peaks.get(name) ?? 0, statusBytes(pid, resettable ? "VmHWM" : "VmRSS")));
    }
  };
  const looking = (async () => {
    while (!stopping.signal.aborted) {
      look();
      await pause(systemClock, SAMPLE_EVERY_MS, stopping.signal);
    }
  })();
  return {
    async stop() {
      stopping.abort();
      await looking;
      look();
      return Object.fromEntries(
        before.map(([name, , beforeBytes]) => [name, { beforeBytes, peakBytes: peaks.get(name) ?? 0 }]),
      );
    },
  };
}

export function residentBytes(pid: number): number {
  return statusBytes(pid, "VmRSS");
}

// Places in /proc/PID/stat, counted from after the name, which may hold spaces: ppid, utime, stime.
const PARENT = 1;
const USER_TICKS = 11;
const SYSTEM_TICKS = 12;

function cpuMicrosOf(pid: number): number {
  const fields = fieldsOf(pid);
  if (fields === undefined) throw new Error(`Cannot account for process ${pid}: it has ended`);
  return ((Number(fields[USER_TICKS]) + Number(fields[SYSTEM_TICKS])) * 1e6) / TICKS_PER_SECOND;
}

function fieldsOf(pid: number): readonly string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}

function statusBytes(pid: number, field: "VmRSS" | "VmHWM"): number {
  const kib = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kib) * 1024;
}

/** Starts the kernel's own peak anew; false where it may not be done. */
function resetPeak(pid: number): boolean {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, "5");
    return true;
  } catch {
    return false;
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
