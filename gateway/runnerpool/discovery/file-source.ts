import { readFile } from "node:fs/promises";

import type { Clock } from "../../../core/clock.ts";
import { filesVersion, followFiles } from "../../../core/follow-files.ts";
import type { Log } from "../../../core/log.ts";
import { FoundRunners, type RunnerSource } from "./runner-source.ts";
import { parseRunners } from "./runners-yaml.ts";

export interface FileSourceOptions {
  /** What the certificates of runners must carry for which the file gives no name. */
  readonly certName: string;
  readonly clock: Clock;
  readonly log: Log;
  /** How often it is looked at. A change takes effect after at most two of these. */
  readonly pollMs?: number;
}

/**
 * Follows a file of runners; while it is broken, what it last said is in force.
 * @throws Error naming file, line and path, if it is broken at the start
 */
export async function fileSource(path: string, options: FileSourceOptions): Promise<RunnerSource> {
  const { certName, clock, log, pollMs = 250 } = options;
  const loaded = await filesVersion([path]);
  const found = new FoundRunners();
  const load = async () => found.found(parseRunners(await readFile(path, "utf8"), path, certName));
  await load();
  const reload = async (): Promise<boolean> => {
    try {
      if (await load()) log.info("Runners found", { file: path, runners: found.runners.length });
    } catch (error) {
      log.error("File of runners is broken, its last good version stays in force", { file: path, error });
    }
    return true;
  };
  const following = followFiles({ paths: [path], loaded, reload, clock, pollMs });
  return {
    get runners() {
      return found.runners;
    },
    onChange: (changed) => found.onChange(changed),
    [Symbol.asyncDispose]: () => following[Symbol.asyncDispose](),
  };
}
