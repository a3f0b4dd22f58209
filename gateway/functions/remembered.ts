import { isDeepStrictEqual } from "node:util";

import { pause, systemClock } from "../../core/clock.ts";
import { silentLog, type Log } from "../../core/log.ts";
import type { Store, StoreChange } from "../store/store.ts";

export interface RememberOptions {
  readonly log?: Log;
  /** Most of what is remembered, by weight; what is known not to be there counts as one. */
  readonly maxEntries: number;
}

export interface Remembered<T> extends Disposable {
  /** The same object while nothing changed. @throws CallError when nobody can say */
  find(key: string): Promise<T | undefined>;
}

/** How one kind of thing is read from a store. */
interface Kind<T> {
  /** Undefined: the store says that there is none. */
  read(key: string): Promise<T | undefined>;
  /** Whether a change in the store may be one of what was found under this key. */
  concerns(change: StoreChange, key: string, found: T | undefined): boolean;
  weight(found: T): number;
}

interface Entry<T> {
  readonly found: T | undefined;
  readonly weight: number;
  /** False: something changed since, so it is read again. */
  current: boolean;
}

/** While the store is away, one at a time waits for so long to see whether it is back. */
const PATIENCE_MS = 250;

/**
 * What is read from a store, remembered until it changes. While the store is away, what is remembered is still served,
 * and waits for the store's time-out once; what is not known is looked for, and fails. Disposing it forgets everything.
 */
export function remembered<T>(store: Store, options: RememberOptions, kind: Kind<T>): Remembered<T> {
  const { maxEntries, log = silentLog } = options;
  const entries = new Map<string, Entry<T>>();
  const loading = new Map<string, Promise<T | undefined>>();
  let weight = 0;
  let changes = 0;
  let away = false;

  const end = store.onChange((change) => {
    changes++;
    // Whoever tells what it was has heard it from the store.
    if (change.kind !== "all") away = false;
    for (const [key, entry] of entries) if (kind.concerns(change, key, entry.found)) entry.current = false;
    // Who asks from here on must not get what was read before.
    loading.clear();
  });

  const load = async (key: string): Promise<T | undefined> => {
    const before = changes;
    const known = entries.get(key);
    try {
      const found = await kind.read(key);
      away = false;
      // The same object while nothing changed: much is derived from it and kept.
      const kept = isDeepStrictEqual(known?.found, found) ? known?.found : found;
      remember(key, {
        found: kept,
        weight: kept === undefined ? 1 : kind.weight(kept),
        current: changes === before,
      });
      return kept;
    } catch (error) {
      if (!away) log.warn("The database is away, functions that are known are served as they were", { error });
      away = true;
      if (known?.found === undefined) throw error;
      return known.found;
    }
  };
  const forget = (key: string) => {
    weight -= entries.get(key)?.weight ?? 0;
    entries.delete(key);
  };
  const remember = (key: string, entry: Entry<T>) => {
    forget(key);
    entries.set(key, entry);
    weight += entry.weight;
    for (const oldest of entries.keys()) {
      // One that is too heavy alone is better than asking the store at every call.
      if (weight <= maxEntries || entries.size === 1) break;
      forget(oldest);
    }
  };

  const loadOnce = (key: string): Promise<T | undefined> => {
    const under = loading.get(key);
    if (under !== undefined) return under;
    const asked = load(key).finally(() => {
      if (loading.get(key) === asked) loading.delete(key);
    });
    loading.set(key, asked);
    return asked;
  };
  const soonOr = async (known: T, key: string): Promise<T | undefined> => {
    if (loading.size > 0) return known;
    const over = new AbortController();
    const patience = pause(systemClock, PATIENCE_MS, over.signal).then(() => known);
    return Promise.race([loadOnce(key), patience]).finally(() => over.abort());
  };

  return {
    find(key) {
      const entry = entries.get(key);
      if (entry?.current === true) return Promise.resolve(entry.found);
      return away && entry?.found !== undefined ? soonOr(entry.found, key) : loadOnce(key);
    },
    [Symbol.dispose]() {
      end();
      entries.clear();
      weight = 0;
    },
  };
}
