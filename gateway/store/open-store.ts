import { fileURLToPath } from "node:url";

import type { Clock } from "../../core/clock.ts";
import type { Log } from "../../core/log.ts";
import type { Database } from "./database.ts";
import { sqlStore } from "./sql-store.ts";
import type { Store } from "./store.ts";

export interface OpenStoreOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Most connections to PostgreSQL. */
  readonly maxConnections: number;
  /** Longest wait for a connection to it, for a statement's answer, and for another process that writes to the same file. */
  readonly timeoutMs: number;
}

/**
 * Opens what a URL names: `sqlite3:///path/to/file`, `sqlite3:relative/file`, or `postgres://user:password@host/name`.
 * @throws Error saying what is wrong with the URL or the database, without its password
 */
export async function openStore(url: string, options: OpenStoreOptions): Promise<Store> {
  const database = await openDatabase(url, options);
  try {
    return await sqlStore(database, options);
  } catch (cause) {
    await database[Symbol.asyncDispose]();
    throw new Error(
      `Cannot use the database ${shown(url)}: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        cause,
      },
    );
  }
}

async function openDatabase(
  url: string,
  { clock, log, maxConnections, timeoutMs }: OpenStoreOptions,
): Promise<Database> {
  const scheme = /^([a-z0-9]+):/.exec(url)?.[1] ?? "";
  if (scheme === "sqlite3" || scheme === "sqlite") {
    const { openSqlite } = await import("./sqlite.ts");
    return openSqlite({ path: sqlitePath(url), clock, timeoutMs });
  }
  if (scheme === "postgres" || scheme === "postgresql") {
    // Its client reads the environment as it is loaded: who does not need it need not allow that.
    const { openPostgres } = await import("./postgres.ts");
    return openPostgres({ url, clock, log, maxConnections, timeoutMs });
  }
  throw new Error(`FN_DB_URL is "${shown(url)}", expected sqlite3:///path/to/file or postgres://user@host/database`);
}

function sqlitePath(url: string): string {
  const rest = url.replace(/^[a-z0-9]+:/, "");
  const path = rest.startsWith("//") ? fileURLToPath(`file://${rest.slice(2)}`) : rest;
  if (path === "" || path === "/") throw new Error(`FN_DB_URL is "${url}", expected a file: sqlite3:///path/to/file`);
  return path;
}

function shown(url: string): string {
  return url.replace(/\/\/[^@/]*@/, "//***@");
}
