import { randomBytes } from "node:crypto";
import { link, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { hasCode, readIfThere } from "./file-errors.ts";
import { makePrivateDirectory } from "./pki-files.ts";

const FILE = "installation-id";

/**
 * The name of this clone on this machine, made once: containers carry it, so that a start removes what an earlier
 * one of the same clone left behind and nothing else.
 */
export async function installationId(stateDirectory: string): Promise<string> {
  await makePrivateDirectory(stateDirectory);
  const path = join(stateDirectory, FILE);
  const id = ((await readIfThere(path)) ?? (await make(path))).trim();
  if (/^[0-9a-z][0-9a-z-]{0,62}$/.test(id)) return id;
  throw new Error(`Cannot use "${path}": expected letters, digits and "-" in one line; remove it to have it made anew`);
}

async function make(path: string): Promise<string> {
  const made = `${path}.${randomBytes(4).toString("hex")}`;
  await writeFile(made, `${randomBytes(6).toString("hex")}\n`);
  try {
    // Unlike a rename it leaves the file of another start alone, and unlike a write it is never seen half done.
    await link(made, path);
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
  } finally {
    await rm(made);
  }
  return readFile(path, "utf8");
}
