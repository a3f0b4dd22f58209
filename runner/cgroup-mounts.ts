import { posix } from "node:path";

export type CgroupVersion = "v1" | "v2";

/** A mount of a cgroup hierarchy. */
export interface CgroupMount {
  /** Which part of the hierarchy is mounted. */
  readonly root: string;
  readonly target: string;
}

/**
 * A process's cgroup for a controller, from the text of `/proc/<pid>/cgroup`. Lines are `id:controllers:path`; the one
 * of v2 has neither of the first two. Where both are there, v1 has what it names.
 */
export function cgroupOf(
  text: string,
  controller: string,
): { readonly version: CgroupVersion; readonly group: string } | undefined {
  let v2: string | undefined;
  for (const line of text.split("\n")) {
    const [, id = "", controllers = "", group = ""] = /^(\d+):([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers.split(",").includes(controller)) return { version: "v1", group };
    if (id === "0" && controllers === "") v2 = group;
  }
  return v2 === undefined ? undefined : { version: "v2", group: v2 };
}

/**
 * Where a hierarchy is mounted, from the text of `/proc/self/mountinfo`, the latest first, as it hides the earlier.
 * Lines are `id parent device root target options [tags] - type source options`.
 */
export function cgroupMounts(mountinfo: string, version: CgroupVersion, controller: string): readonly CgroupMount[] {
  const mounts: CgroupMount[] = [];
  for (const line of mountinfo.split("\n")) {
    const [place = "", kind = ""] = line.split(" - ");
    const [, , , root, target] = place.split(" ");
    const [type, , options = ""] = kind.split(" ");
    const fits = version === "v2" ? type === "cgroup2" : type === "cgroup" && options.split(",").includes(controller);
    if (fits && root !== undefined && target !== undefined)
      mounts.unshift({ root: plain(root), target: plain(target) });
  }
  return mounts;
}

/** A cgroup's path below the root of a mount, or undefined where that does not show it. */
export function pathBelow(root: string, group: string): string | undefined {
  const below = posix.relative(root, group);
  return below === ".." || below.startsWith("../") ? undefined : below;
}

/** The kernel writes blanks and backslashes as three octal digits. */
function plain(path: string): string {
  return path.replaceAll(/\\([0-7]{3})/g, (_all, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
