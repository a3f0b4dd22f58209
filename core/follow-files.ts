import { stat } from "node:fs/promises";

import type { Clock } from "./clock.ts";

export interface FollowOptions {
  readonly paths: readonly string[];
  /** What `filesVersion` said before they were first read: what changed since then is seen as a change. */
  readonly loaded: string;
  /** Reads them again. False: they changed meanwhile, look again. */
  readonly reload: (version: string) => Promise<boolean>;
  readonly clock: Clock;
  readonly pollMs: number;
}

/**
 * Follows changes of files. Polled rather than watched: a watch misses bind mounts, network drives and what lies
 * behind links. Disposing it ends it, and waits for a reload that is under way.
 */
export function followFiles({ paths, reload, clock, pollMs, ...options }: FollowOptions): AsyncDisposable {
  let { loaded } = options;
  let seen = loaded;
  let cancel = (): void => {};
  let polling: Promise<void> = Promise.resolve();
  let disposed = false;

  const poll = async () => {
    const now = await filesVersion(paths);
    // Seen twice alike: files that are being written are left alone.
    if (now !== loaded && now === seen && (await reload(now))) loaded = now;
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
    async [Symbol.asyncDispose]() {
      disposed = true;
      cancel();
      await polling;
    },
  };
}

/** Differs after every change that a file system can show. */
export async function filesVersion(paths: readonly string[]): Promise<string> {
  const versions = paths.map(async (path) => {
    try {
      const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
      return [dev, ino, size, mtimeNs, ctimeNs].join(" ");
    } catch {
      return "absent";
    }
  });
  return (await Promise.all(versions)).join(", ");
}
