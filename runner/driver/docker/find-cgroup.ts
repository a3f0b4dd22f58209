import { readFile } from "node:fs/promises";
import { join, posix } from "node:path";

export type CgroupVersion = "v1" | "v2";

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

interface Mount {
  /** Which part of the hierarchy is mounted. */
  readonly root: string;
  readonly target: string;
}

/**
 * Finds a container's cgroup: the freezer's of v1 where there is one, or else that of v2. Nothing is taken whose name
 * is not the container's own id: process ids are used again, and a runner in a container sees other processes under
 * the same numbers.
 * @throws Error saying what was found instead
 */
export async function findCgroup({ containerId, pid, proc = "/proc" }: ContainerProcess): Promise<Cgroup> {
  const { version, group } = groupOf(await readFile(join(proc, String(pid), "cgroup"), "utf8"), pid);
  if (!isOwn(group, containerId))
    throw new Error(`Process ${pid} is in cgroup "${group}", not in one of ${containerId}`);
  const mounts = mountsOf(await readFile(join(proc, "self", "mountinfo"), "utf8"), version);
  for (const { root, target } of mounts) {
    const below = posix.relative(root, group);
    if (!below.startsWith("..")) return { version, path: posix.join(target, below) };
  }
  throw new Error(`Cgroup "${group}" of ${version} is not mounted here`);
}

/** Lines are `id:controllers:path`; the one of v2 has neither. Both may be there, and then containers are in v1. */
function groupOf(text: string, pid: number): { version: CgroupVersion; group: string } {
  let v2: string | undefined;
  for (const line of text.split("\n")) {
    const [, id = "", controllers = "", group = ""] = /^(\d+):([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers.split(",").includes("freezer")) return { version: "v1", group };
    if (id === "0" && controllers === "") v2 = group;
  }
  if (v2 === undefined) throw new Error(`Process ${pid} is in no cgroup that can be frozen`);
  return { version: "v2", group: v2 };
}

/** `…/<id>` as Docker names it by itself, `…/docker-<id>.scope` with systemd. */
function isOwn(group: string, containerId: string): boolean {
  if (!/^[0-9a-f]{64}$/.test(containerId) || group.split("/").includes("..")) return false;
  return [containerId, `docker-${containerId}.scope`].includes(posix.basename(group));
}

/** Lines are `id parent device root target options [tags] - type source options`; a later mount hides an earlier. */
function mountsOf(mountinfo: string, version: CgroupVersion): readonly Mount[] {
  const mounts: Mount[] = [];
  for (const line of mountinfo.split("\n")) {
    const [place = "", kind = ""] = line.split(" - ");
    const [, , , root, target] = place.split(" ");
    const [type, , options = ""] = kind.split(" ");
    const fits = version === "v2" ? type === "cgroup2" : type === "cgroup" && options.split(",").includes("freezer");
    if (fits && root !== undefined && target !== undefined)
      mounts.unshift({ root: plain(root), target: plain(target) });
  }
  return mounts;
}

/** The kernel writes blanks and backslashes as three octal digits. */
function plain(path: string): string {
  return path.replaceAll(/\\([0-7]{3})/g, (_all, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
