import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

import type { Clock } from "../../../../core/clock.ts";
import { filesVersion, followFiles } from "../../../../core/follow-files.ts";
import type { Log } from "../../../../core/log.ts";
import { NO_AUTHS, parseRegistryAuths, type RegistryAuths } from "./registry-auths.ts";

export interface RegistryAuthsSource {
  /** The credentials themselves, `FN_DOCKER_AUTH`; empty to read a file. */
  readonly inline: string;
  /** The directory of a `config.json`, `DOCKER_CONFIG`; empty for the user's own, `~/.docker`. */
  readonly directory: string;
}

export interface WatchedRegistryAuths extends RegistryAuths, AsyncDisposable {}

const POLL_MS = 1_000;

/**
 * Credentials that follow their file, since those of cloud registries last for hours only. No file is no credentials;
 * one that is broken leaves in force what was, and is logged.
 * @throws Error naming what is broken at the start
 */
export async function watchRegistryAuths(
  { inline, directory }: RegistryAuthsSource,
  { log, clock, pollMs = POLL_MS }: { readonly log: Log; readonly clock: Clock; readonly pollMs?: number },
): Promise<WatchedRegistryAuths> {
  if (inline !== "") {
    return { ...parseRegistryAuths(inline, "FN_DOCKER_AUTH"), [Symbol.asyncDispose]: async () => {} };
  }
  const paths =
    directory === ""
      ? [join(homedir(), ".docker", "config.json"), join(homedir(), ".dockercfg")]
      : [join(directory, "config.json")];
  const loaded = await filesVersion(paths);
  let current = await readFirst(paths);
  const reload = async (version: string): Promise<boolean> => {
    try {
      const read = await readFirst(paths);
      if ((await filesVersion(paths)) !== version) return false;
      current = read;
      log.info("Registry credentials loaded", { paths });
    } catch (reason) {
      log.error("Registry credentials are broken, the last good ones stay in force", { reason });
    }
    return true;
  };
  const following = followFiles({ paths, loaded, reload, clock, pollMs });
  return {
    find: (image, appName) => current.find(image, appName),
    hasOwn: (appName) => current.hasOwn(appName),
    [Symbol.asyncDispose]: () => following[Symbol.asyncDispose](),
  };
}

async function readFirst(paths: readonly string[]): Promise<RegistryAuths> {
  for (const path of paths) {
    const text = await readFile(path, "utf8").catch((cause: unknown) => {
      if (cause instanceof Error && "code" in cause && (cause.code === "ENOENT" || cause.code === "ENOTDIR")) return;
      throw new Error(`Cannot read registry credentials in ${path}`, { cause });
    });
    if (text !== undefined) return parseRegistryAuths(text, path);
  }
  return NO_AUTHS;
}
