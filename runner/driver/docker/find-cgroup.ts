import { readFile } from "node:fs/promises";
import { join, posix } from "node:path";

import { cgroupMounts, cgroupOf, pathBelow, type CgroupVersion } from "../../cgroup-mounts.ts";

/** A container and what Docker calls its first process. */
export interface ContainerProcess {
  /** Docker's full id. */
  readonly containerId: string;
  readonly pid: number;
  /** Where the kernel shows processes; another place only in tests. */
  readonly proc?: string;
}

/** The directory of the cgroup that freezes a container. */
export interface Cgroup {
  readonly version: CgroupVersion;
  readonly path: string;
}

/**
 * Finds a container's cgroup: the freezer's of v1 where there is one, or else that of v2. Nothing is taken whose name
 * is not the container's own id: process ids are used again, and a runner in a container sees other processes under
 * the same numbers.
 * @throws Error saying what was found instead
 */
export async function findCgroup({ containerId, pid, proc = "/proc" }: ContainerProcess): Promise<Cgroup> {
  const found = cgroupOf(await readFile(join(proc, String(pid), "cgroup"), "utf8"), "freezer");
  if (found === undefined) throw new Error(`Process ${pid} is in no cgroup that can be frozen`);
  const { version, group } = found;
  if (!isOwn(group, containerId))
    throw new Error(`Process ${pid} is in cgroup "${group}", not in one of ${containerId}`);
  const mountinfo = await readFile(join(proc, "self", "mountinfo"), "utf8");
  for (const { root, target } of cgroupMounts(mountinfo, version, "freezer")) {
    const below = pathBelow(root, group);
    if (below !== undefined) return { version, path: posix.join(target, below) };
  }
  throw new Error(`Cgroup "${group}" of ${version} is not mounted here`);
}

/** `…/<id>` as Docker names it by itself, `…/docker-<id>.scope` with systemd. */
function isOwn(group: string, containerId: string): boolean {
  if (!/^[0-9a-f]{64}$/.test(containerId) || group.split("/").includes("..")) return false;
  return [containerId, `docker-${containerId}.scope`].includes(posix.basename(group));
}
