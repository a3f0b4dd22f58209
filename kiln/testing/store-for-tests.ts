import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { systemClock } from "../../core/clock.ts";
import { DEFAULTS } from "../../core/function-spec.ts";
import { silentLog, type Log } from "../../core/log.ts";
import { openStore } from "../../gateway/store/open-store.ts";
import type { New, Store, StoredApp, StoredFn, StoredTrigger } from "../../gateway/store/store.ts";
import { postgresOrSkip } from "./postgres.ts";

/** A database that is there for one test. Disposing it removes it. */
export interface DatabaseForTests extends AsyncDisposable {
  readonly url: string;
  /** Another store on it, as another gateway has. */
  open(log?: Log): Promise<Store>;
}

export interface DatabaseKind {
  readonly name: string;
  readonly skip: string | false;
  create(): Promise<DatabaseForTests>;
}

/** Every database that there is, for suites that run on each. */
export async function databaseKinds(): Promise<readonly DatabaseKind[]> {
  const postgres = await postgresOrSkip();
  return [
    { name: "SQLite", skip: false, create: sqliteFile },
    { name: "PostgreSQL", skip: postgres.skip, create: async () => withOpen(await postgres.database()) },
  ];
}

export async function sqliteFile(): Promise<DatabaseForTests> {
  const directory = await mkdtemp(join(tmpdir(), "kiln-db-"));
  return withOpen({
    url: `sqlite3://${join(directory, "fn.db")}`,
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  });
}

function withOpen(database: AsyncDisposable & { readonly url: string }): DatabaseForTests {
  const open = (log = silentLog) =>
    openStore(database.url, { clock: systemClock, log, maxConnections: 5, timeoutMs: 5_000 });
  return { url: database.url, open, [Symbol.asyncDispose]: () => database[Symbol.asyncDispose]() };
}

export function newApp(name: string, app: Partial<StoredApp> = {}): New<StoredApp> {
  return { name, config: {}, annotations: {}, syslogUrl: "", shape: "", ...app };
}

export function newFn(appId: string, name: string, fn: Partial<StoredFn> = {}): New<StoredFn> {
  return { ...DEFAULTS, appId, name, image: `${name}:1`, config: {}, annotations: {}, shape: "", ...fn };
}

export function newTrigger(fn: StoredFn, name: string, trigger: Partial<StoredTrigger> = {}): New<StoredTrigger> {
  const { appId, id: fnId } = fn;
  return { appId, fnId, name, type: "http", source: `/${name}`, annotations: {}, ...trigger };
}
