import { readFileSync } from "node:fs";
import { join, posix } from "node:path";

import { cgroupMounts, cgroupOf, pathBelow, type CgroupVersion } from "./cgroup-mounts.ts";

/** What this process's cgroups allow it; Infinity where they set no limit. */
export interface CgroupLimits {
  readonly memoryBytes: number;
  /** Thousandths of a core. */
  readonly cpuMillis: number;
}

/** Reads the limits of both cgroup versions. A group's limit is also that of every group in it, so the least counts. */
export function cgroupLimits(proc: string): CgroupLimits {
  return {
    memoryBytes: least(proc, "memory", (version, directory) => {
      const name = version === "v2" ? "memory.max" : "memory.limit_in_bytes";
      return numberOf(textOf(join(directory, name)));
    }),
    cpuMillis: least(proc, "cpu", (version, directory) => {
      const [quota, period] =
        version === "v2"
          ? textOf(join(directory, "cpu.max")).split(" ")
          : ["cpu.cfs_quota_us", "cpu.cfs_period_us"].map((name) => textOf(join(directory, name)));
      return (numberOf(quota) * 1_000) / numberOf(period);
    }),
  };
}

/** The least limit of the process's own group and of those around it, as far up as they can be seen. */
function least(proc: string, controller: string, limit: (version: CgroupVersion, directory: string) => number): number {
  const own = cgroupOf(textOf(join(proc, "self", "cgroup")), controller);
  if (own === undefined) return Infinity;
  const mountinfo = textOf(join(proc, "self", "mountinfo"));
  for (const { root, target } of cgroupMounts(mountinfo, own.version, controller)) {
    // In a container the path may be one that only the host knows, and then its mount shows the container's own group.
    const directory = posix.join(target, pathBelow(root, own.group) ?? "");
    return Math.min(...upwards(directory, target).map((each) => orInfinity(limit(own.version, each))));
  }
  return Infinity;
}

function upwards(from: string, to: string): readonly string[] {
  const all = [from];
  for (let at = from; at !== to && at !== "/";) all.push((at = posix.dirname(at)));
  return all;
}

/** Anything but a positive number sets no limit: `max`, `-1`, or no file. */
function orInfinity(value: number): number {
  return value > 0 ? value : Infinity;
}

function numberOf(text = ""): number {
  return text === "" ? NaN : Number(text);
}

/** Empty where there is no such file. */
export function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}
