import { readFile, stat } from "node:fs/promises";

import { systemClock, type Clock } from "../../core/clock.ts";
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
  /** How often the file is looked at. A change takes effect after at most two of these. */
  readonly pollMs?: number;
}

const LARGEST_BYTES = 16 * 1024 * 1024;

/**
 * Serves the functions that a YAML file declares, and follows its changes; while it is broken, what it last said is
 * in force. It is polled rather than watched: a watch misses bind mounts, network drives and what lies behind links.
 * @throws Error naming file, line and path, if it is broken at the start
 */
export async function functionsFile(path: string, options: FunctionsFileOptions = {}): Promise<FunctionsFile> {
  const { log = silentLog, clock = systemClock, pollMs = 250 } = options;
  // The version first: what changes between the two is then seen as a change.
  let loaded = await version(path);
  let inForce = await load(path);
  let seen = loaded;
  let cancel = (): void => {};
  let polling: Promise<void> = Promise.resolve();
  let disposed = false;

  const reload = async (changed: string) => {
    loaded = changed;
    try {
      inForce = await load(path);
      log.info("Functions file loaded", { file: path, functions: inForce.all.length });
    } catch (error) {
      log.error("Functions file is broken, its last good version stays in force", { file: path, error });
    }
  };
  const poll = async () => {
    const now = await version(path);
    // Seen twice alike: a file that is being written is left alone.
    if (now !== loaded && now === seen) await reload(now);
    seen = now;
    schedule();
  };
  const schedule = () => {
    if (disposed) return;
    cancel = clock.after(pollMs, () => {
      polling = poll();
    });
  };
  schedule();

  return {
    list: () => inForce.all,
    find: (fnId) => Promise.resolve(inForce.byId.get(fnId)),
    async [Symbol.asyncDispose]() {
      disposed = true;
      cancel();
      await polling;
    },
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

/** Differs after every change that a file system can show. */
async function version(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(" ");
  } catch {
    return "absent";
  }
}
