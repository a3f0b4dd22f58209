import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";

import type { Clock } from "../core/clock.ts";
import { filesVersion, followFiles } from "../core/follow-files.ts";
import type { Log } from "../core/log.ts";

/** What a server shows its clients, as PEM text. */
export interface ServerCertificate {
  /** With the certificates between it and an authority that clients know. */
  readonly cert: string;
  readonly key: string;
}

/** A certificate that follows its files. Disposing it ends the watch. */
export interface WatchedCertificate extends AsyncDisposable {
  readonly current: ServerCertificate;
  /** Called after every change; one listener. */
  onChange(changed: (certificate: ServerCertificate) => void): void;
}

interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

interface WatchOptions {
  readonly log: Log;
  readonly clock: Clock;
  readonly pollMs?: number;
}

/**
 * Both files change together or not at all, and while they do not fit each other those in force stay.
 * @throws Error naming the files, if they do not at the start
 */
export async function watchServerCertificate(
  files: CertificateFiles,
  options: WatchOptions,
): Promise<WatchedCertificate> {
  const { log, clock, pollMs = 250 } = options;
  const paths = [files.cert, files.key];
  const loaded = await filesVersion(paths);
  let current = await load(files);
  let tell: (certificate: ServerCertificate) => void = () => {};
  const reload = async (changed: string): Promise<boolean> => {
    try {
      const next = await load(files);
      // Written to while they were read, they may be of two generations: the next look tells.
      if ((await filesVersion(paths)) !== changed) return false;
      current = next;
      tell(next);
      log.info("Certificate for clients loaded", { ...files });
    } catch (error) {
      log.error("Certificate for clients is broken, the last good one stays in force", { ...files, error });
    }
    return true;
  };
  const following = followFiles({ paths, loaded, reload, clock, pollMs });
  return {
    get current() {
      return current;
    },
    onChange(changed) {
      tell = changed;
    },
    [Symbol.asyncDispose]: () => following[Symbol.asyncDispose](),
  };
}

async function load(files: CertificateFiles): Promise<ServerCertificate> {
  try {
    const [cert, key] = await Promise.all([readFile(files.cert, "utf8"), readFile(files.key, "utf8")]);
    createSecureContext({ cert, key });
    return { cert, key };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`Cannot use "${files.cert}" and "${files.key}" as certificate and key: ${reason}`, { cause });
  }
}
