import { systemClock, type Clock } from "./clock.ts";
import { filesVersion, followFiles } from "./follow-files.ts";
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
 * or do not fit, those in force stay.
 * @throws Error naming the file at fault, if one is at the start
 */
export async function watchPki(files: PkiFiles, options: PkiWatchOptions = {}): Promise<WatchedPki> {
  const { log = silentLog, clock = systemClock, pollMs = 250 } = options;
  const listeners = new Set<() => void>();
  const paths = [files.cert, files.key, files.ca];
  const loaded = await filesVersion(paths);
  let current = await loadPki(files);

  const reload = async (changed: string): Promise<boolean> => {
    try {
      const read = await loadPki(files);
      // Written to while they were read, they may be of two generations: the next look tells.
      if ((await filesVersion(paths)) !== changed) return false;
      current = read;
      log.info("Certificates loaded", { ...files });
    } catch (error) {
      log.error("Certificates are broken, the last good ones stay in force", { ...files, error });
      return true;
    }
    for (const listener of listeners) tell(listener);
    return true;
  };
  const tell = (listener: () => void) => {
    try {
      listener();
    } catch (error) {
      // What fits together may still be nothing that TLS takes.
      log.error("Certificates could not be put to use", { ...files, error });
    }
  };
  const following = followFiles({ paths, loaded, reload, clock, pollMs });

  return {
    get current() {
      return current;
    },
    onChange(changed) {
      listeners.add(changed);
      return () => listeners.delete(changed);
    },
    [Symbol.asyncDispose]: () => following[Symbol.asyncDispose](),
  };
}
