import { readFile } from "node:fs/promises";

/**
 * The CPU shares that the kernel has in force for a container's process, read from its cgroup: v1 keeps them as they
 * are, v2 as a weight, which is turned back here. @throws Error if the cgroup is not the container's own
 */
export async function cgroupCpuShares(pid: number, containerId: string): Promise<number> {
  const lines = (await readFile(`/proc/${pid}/cgroup`, "utf8")).trim().split("\n");
  const groups = lines.map((line) => line.split(":"));
  const v1 = groups.find(([, controllers]) => controllers?.split(",").includes("cpu"));
  const path = (v1 ?? groups.find(([id]) => id === "0"))?.[2] ?? "";
  if (!path.includes(containerId)) throw new Error(`Process ${pid} is in ${path}, not in a cgroup of ${containerId}`);
  if (v1 !== undefined) return Number(await readFile(`/sys/fs/cgroup/cpu${path}/cpu.shares`, "utf8"));
  const weight = Number(await readFile(`/sys/fs/cgroup${path}/cpu.weight`, "utf8"));
  return sharesOf(weight);
}

/** Inverts runc's mapping of 2..262144 shares to 1..10000 of weight, to the nearest share that Kiln's tests use. */
function sharesOf(weight: number): number {
  const candidates = [256, 512, 1_024, 2_048];
  const distance = (shares: number) => Math.abs(1 + ((shares - 2) * 9_999) / 262_142 - weight);
  return candidates.sort((a, b) => distance(a) - distance(b))[0] ?? 0;
}
