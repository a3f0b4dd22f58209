import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

import { z } from "zod";

const run = promisify(execFile);

const Manifest = z.object({ dependencies: z.record(z.string(), z.string()) });

/** The files of an older commit in a directory of their own. Disposing it removes them. */
export interface OldTree extends AsyncDisposable {
  readonly directory: string;
}

/** Why a commit's files cannot be run here, or false where they can. */
export async function whyNotTreeOf(commit: string): Promise<string | false> {
  const found = await run("git", ["show", `${commit}:package.json`]).catch(() => undefined);
  if (found === undefined) return `this checkout does not have the commit ${commit}: it is shallow, or no clone`;
  const { dependencies } = Manifest.parse(JSON.parse(found.stdout));
  const missing = Object.keys(dependencies).filter((name) => !existsSync(join("node_modules", name)));
  return missing.length > 0 && `the commit ${commit} needs packages that this one does not: ${missing.join(", ")}`;
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
