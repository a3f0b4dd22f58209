import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** What the kernel would show of a process and its cgroup, as plain files. Disposing it removes them. */
export interface CgroupTree extends AsyncDisposable {
  readonly root: string;
  /** For `ContainerProcess.proc`. */
  readonly proc: string;
  path(...parts: string[]): string;
}

export interface CgroupTreeOptions {
  readonly pid: number;
  /** The lines of `/proc/<pid>/cgroup`. */
  readonly cgroup: readonly string[];
  /** The lines of `/proc/self/mountinfo`; `@` is the tree's root. */
  readonly mountinfo: readonly string[];
  /** Other files below the root. */
  readonly files?: Readonly<Record<string, string>>;
}

export async function cgroupTree({ pid, cgroup, mountinfo, files = {} }: CgroupTreeOptions): Promise<CgroupTree> {
  const root = await mkdtemp(join(tmpdir(), "kiln-cgroup-"));
  const all = {
    ...files,
    [`proc/${pid}/cgroup`]: lines(cgroup),
    "proc/self/mountinfo": lines(mountinfo).replaceAll("@", root),
  };
  for (const [name, content] of Object.entries(all)) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), content);
  }
  return {
    root,
    proc: join(root, "proc"),
    path: (...parts) => join(root, ...parts),
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
}

function lines(of: readonly string[]): string {
  return of.map((line) => `${line}\n`).join("");
}
