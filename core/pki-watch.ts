import { stat } from "node:fs/promises";

import { systemClock, type Clock } from "./clock.ts";
import { silentLog, type Log } from "./log.ts";
import { loadPki, type PkiFiles, type PkiSource } from "./pki.ts";

/** Certificates that follow their files. Disposing it ends the watch. */
export interface WatchedPki extends PkiSource, AsyncDisposable {}

interface PkiWatchOptions {
  readonly log?: Log;
  readonly clock?: Clock;
  /** How often the files are looked at. A change takes effect after at most two of these. */
  readonly pollMs?: number;
}

/**
 * Follows the three files: certificate, key and authorities change together or not at all, and while they are broken
 * or do not fit, those in force stay. Polled rather than watched: a watch misses mounted secrets and what lies behind links.
 * @throws Error naming the file at fault, if one is at the start
 */
export async function watchPki(files: PkiFiles, options: PkiWatchOptions = {}): Promise<WatchedPki> {
  const { log = silentLog, clock = systemClock, pollMs = 250 } = options;
  const listeners = new Set<() => void>();
  // The version first: what changes between the two is then seen as a change.
  let loaded = await version(files);
  let current = await loadPki(files);
  let seen = loaded;
  let cancel = (): void => {};
  let polling: Promise<void> = Promise.resolve();
  let disposed = false;

  const reload = async (changed: string) => {
    try {
      const read = await loadPki(files);
      // Written to while they were read, they may be of two generations: the next look tells.
      if ((await version(files)) !== changed) return;
      current = read;
      log.info("Certificates loaded", { ...files });
    } catch (error) {
      log.error("Certificates are broken, the last good ones stay in force", { ...files, error });
      loaded = changed;
      return;
    }
    loaded = changed;
    for (const listener of listeners) tell(listener);
  };
  const tell = (listener: () => void) => {
    try {
      listener();
    } catch (error) {
      // What fits together may still be nothing that TLS takes.
      log.error("Certificates could not be put to use", { ...files, error });
    }
  };
  const poll = async () => {
    const now = await version(files);
    // Seen twice alike: files that are being written are left alone.
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
    get current() {
      return current;
    },
    onChange(changed) {
      listeners.add(changed);
      return () => listeners.delete(changed);
    },
    async [Symbol.asyncDispose]() {
      disposed = true;
      cancel();
      await polling;
    },
  };
}

/** Differs after every change that a file system can show. */
async function version({ cert, key, ca }: PkiFiles): Promise<string> {
  const versions = [cert, key, ca].map(async (path) => {
    try {
      const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
      return [dev, ino, size, mtimeNs, ctimeNs].join(" ");
    } catch {
      return "absent";
    }
  });
  return (await Promise.all(versions)).join(", ");
}
