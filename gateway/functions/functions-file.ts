import { readFile, stat } from "node:fs/promises";

import { systemClock, type Clock } from "../../core/clock.ts";
import { filesVersion, followFiles } from "../../core/follow-files.ts";
import { silentLog, type Log } from "../../core/log.ts";
import { parseFunctions } from "./functions-yaml.ts";
import type { FoundFunction, FunctionLookup } from "./functions.ts";

/** A watched file of functions. Disposing it ends the watch. */
export interface FunctionsFile extends FunctionLookup, AsyncDisposable {
  find(fnId: string): Promise<FoundFunction | undefined>;
  /** All of them, in the order of the file. */
  list(): readonly FoundFunction[];
}

interface FunctionsFileOptions {
  readonly log?: Log;
  readonly clock?: Clock;
  /** Takes over a changed file before it is in force; what it throws keeps the one that is. */
  readonly applied?: (declared: readonly FoundFunction[]) => Promise<void>;
  /** How often the file is looked at. A change takes effect after at most two of these. */
  readonly pollMs?: number;
}

const LARGEST_BYTES = 16 * 1024 * 1024;

/**
 * Serves the functions that a YAML file declares, and follows its changes; while it is broken, what it last said is
 * in force.
 * @throws Error naming file, line and path, if it is broken at the start
 */
export async function functionsFile(path: string, options: FunctionsFileOptions = {}): Promise<FunctionsFile> {
  const { log = silentLog, clock = systemClock, pollMs = 250, applied = async () => {} } = options;
  const loaded = await filesVersion([path]);
  let inForce = await load(path);

  const reload = async (): Promise<boolean> => {
    try {
      const next = await load(path);
      await applied(next.all);
      inForce = next;
      log.info("Functions file loaded", { file: path, functions: inForce.all.length });
    } catch (error) {
      log.error("Functions file is broken, its last good version stays in force", { file: path, error });
    }
    return true;
  };
  const following = followFiles({ paths: [path], loaded, reload, clock, pollMs });

  return {
    list: () => inForce.all,
    find: (fnId) => Promise.resolve(inForce.byId.get(fnId)),
    [Symbol.asyncDispose]: () => following[Symbol.asyncDispose](),
  };
}

interface Loaded {
  readonly all: readonly FoundFunction[];
  readonly byId: ReadonlyMap<string, FoundFunction>;
}

async function load(path: string): Promise<Loaded> {
  const { size } = await stat(path).catch((cause: unknown) => unreadable(path, cause));
  if (size > LARGEST_BYTES)
    throw new Error(`Cannot read "${path}": it has ${size} bytes, the most is ${LARGEST_BYTES}`);
  const text = await readFile(path, "utf8").catch((cause: unknown) => unreadable(path, cause));
  const all = parseFunctions(text, path);
  return { all, byId: new Map(all.map((found) => [found.fn.id, found])) };
}

function unreadable(path: string, cause: unknown): never {
  throw new Error(`Cannot read "${path}": ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
}
