import { isDeepStrictEqual } from "node:util";

import { silentLog, type Log } from "../../core/log.ts";
import type { Store, StoreChange } from "../store/store.ts";
import type { FoundFunction, FunctionLookup } from "./functions.ts";

interface StoreFunctionsOptions {
  readonly log?: Log;
  /** Most functions that are remembered, those that are not there among them. */
  readonly maxEntries: number;
}

interface Entry {
  /** Undefined: the store says that there is none. */
  readonly found: FoundFunction | undefined;
  /** False: something changed since, so it is read again. */
  current: boolean;
}

/**
 * Functions of a store, remembered until they change. While the store is away, what is remembered is still served; a
 * function it does not know is looked for, and fails. Disposing it forgets everything.
 */
export function storeFunctions(store: Store, options: StoreFunctionsOptions): FunctionLookup & Disposable {
  const { maxEntries, log = silentLog } = options;
  const entries = new Map<string, Entry>();
  const loading = new Map<string, Promise<FoundFunction | undefined>>();
  let changes = 0;
  let away = false;

  const end = store.onChange((change) => {
    changes++;
    for (const [fnId, entry] of entries) if (concerns(change, fnId, entry)) entry.current = false;
    // Who asks from here on must not get what was read before.
    loading.clear();
  });

  const load = async (fnId: string): Promise<FoundFunction | undefined> => {
    const before = changes;
    const known = entries.get(fnId);
    try {
      const found = await read(store, fnId);
      away = false;
      // The same object while nothing changed: much is derived from it and kept.
      const kept = isDeepStrictEqual(known?.found, found) ? known?.found : found;
      remember(fnId, { found: kept, current: changes === before });
      return kept;
    } catch (error) {
      if (known?.found === undefined) throw error;
      if (!away) log.warn("The database is away, functions that are known are served as they were", { error });
      away = true;
      return known.found;
    }
  };
  const remember = (fnId: string, entry: Entry) => {
    entries.delete(fnId);
    entries.set(fnId, entry);
    for (const oldest of entries.keys()) {
      if (entries.size <= maxEntries) break;
      entries.delete(oldest);
    }
  };

  return {
    find(fnId) {
      const entry = entries.get(fnId);
      if (entry?.current === true) return Promise.resolve(entry.found);
      const under = loading.get(fnId);
      if (under !== undefined) return under;
      const asked = load(fnId).finally(() => {
        if (loading.get(fnId) === asked) loading.delete(fnId);
      });
      loading.set(fnId, asked);
      return asked;
    },
    [Symbol.dispose]() {
      end();
      entries.clear();
    },
  };
}

async function read(store: Store, fnId: string): Promise<FoundFunction | undefined> {
  const fn = await store.fns.get(fnId);
  const app = fn && (await store.apps.get(fn.appId));
  return fn && app && { app, fn };
}

function concerns(change: StoreChange, fnId: string, { found }: Entry): boolean {
  if (change.kind === "all") return true;
  if (change.kind === "fn") return change.id === fnId;
  return change.kind === "app" && change.id === found?.app.id;
}
