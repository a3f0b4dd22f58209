import { execFile } from "node:child_process";
import { chmod, mkdir, readFile, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

import type { Log } from "../../core/log.ts";

export interface SocketTmpfsOptions {
  /** `auto` does without where it cannot be had. */
  readonly wanted: boolean | "auto";
  /** As mount takes them: size, nr_inodes, mode. */
  readonly options: string;
  /** Whether containers would find what is at this path. */
  readonly sees: (path: string) => Promise<boolean>;
}

/** Gives each socket directory a small file system of its own, in memory: nobody is harmed by a function that fills it. */
export interface SocketTmpfs {
  mount(path: string): Promise<void>;
  unmount(path: string): Promise<void>;
}

const run = promisify(execFile);

/**
 * Tries it once, below `home`. Undefined where it is not wanted, or with `auto` not to be had, which is logged.
 * @throws Error where it has to be
 */
export async function openSocketTmpfs(
  home: string,
  { wanted, options, sees }: SocketTmpfsOptions,
  log: Log,
): Promise<SocketTmpfs | undefined> {
  if (wanted === false) return undefined;
  const tmpfs: SocketTmpfs = {
    mount: async (path) => void (await run("mount", ["-t", "tmpfs", "-o", mountOptions(options), "kiln-iofs", path])),
    unmount,
  };
  try {
    await tryOut(tmpfs, join(home, "try"), sees);
    return tmpfs;
  } catch (cause) {
    if (wanted === true) {
      throw new Error("Cannot mount file systems for sockets (FN_IOFS_TMPFS): expected root on Docker's machine", {
        cause,
      });
    }
    const reason = cause instanceof Error ? cause.message.trim().split("\n").at(-1) : String(cause);
    log.info("Socket directories have no file systems of their own: a function can fill their disk", { reason });
    return undefined;
  }
}

/** Unmounts all that is mounted below a directory, as a runner that was killed leaves it. */
export async function unmountBelow(directory: string): Promise<void> {
  const mounts = await readFile("/proc/self/mountinfo", "utf8").catch(() => "");
  for (const line of mounts.split("\n")) {
    // Nobody makes other characters in these names, so that none are escaped.
    const target = line.split(" ")[4];
    if (target?.startsWith(`${directory}/`) === true) await unmount(target).catch(() => {});
  }
}

async function unmount(path: string): Promise<void> {
  try {
    await run("umount", [path]);
  } catch {
    // Somebody looks at it still: it goes when they are done.
    await run("umount", ["--lazy", path]);
  }
}

/** Set-uid files, devices and programs are nothing that a socket directory needs. */
function mountOptions(options: string): string {
  return `noexec,nosuid,nodev${options === "" ? "" : `,${options}`}`;
}

async function tryOut(tmpfs: SocketTmpfs, path: string, sees: SocketTmpfsOptions["sees"]): Promise<void> {
  await mkdir(path);
  try {
    await tmpfs.mount(path);
    try {
      await chmod(path, 0o777);
      await mkdir(join(path, "inside"));
      // A daemon with mounts of its own would give containers the directory below.
      if (!(await sees(join(path, "inside")))) throw new Error("Docker does not see what is mounted here");
    } finally {
      await tmpfs.unmount(path);
    }
  } finally {
    await rmdir(path);
  }
}
