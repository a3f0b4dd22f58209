import { execFile } from "node:child_process";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The files of an older commit in a directory of their own. Disposing it removes them. */
export interface OldTree extends AsyncDisposable {
  readonly directory: string;
}

/** The whole name of a commit, or undefined where this checkout does not have it: it may be shallow, or an archive. */
export async function knownCommit(name: string): Promise<string | undefined> {
  try {
    const { stdout } = await run("git", ["rev-parse", "--quiet", "--verify", `${name}^{commit}`]);
    return stdout.trim();
  } catch {
    return undefined;
  }
}

/** Takes out a commit's files. They use the packages that this tree has installed. */
export async function treeOf(commit: string): Promise<OldTree> {
  const directory = await mkdtemp(join(tmpdir(), "kiln-tree-"));
  const dispose = () => rm(directory, { recursive: true, force: true });
  try {
    const archive = join(directory, "tree.tar");
    await run("git", ["archive", "--output", archive, commit]);
    await run("tar", ["-x", "-C", directory, "-f", archive]);
    await symlink(resolve("node_modules"), join(directory, "node_modules"));
  } catch (error) {
    await dispose();
    throw error;
  }
  return { directory, [Symbol.asyncDispose]: dispose };
}
