import type { Clock } from "../../core/clock.ts";
import type { Log } from "../../core/log.ts";
import { collection, told } from "./collection.ts";
import type { Database } from "./database.ts";
import { migrate } from "./migrations.ts";
import { schedulesOf } from "./schedules.ts";
import { sql } from "./sql.ts";
import type { Store, StoreChange } from "./store.ts";
import { appsTable, fnsTable, triggersTable } from "./tables.ts";

export interface SqlStoreOptions {
  readonly clock: Clock;
  readonly log: Log;
}

/** A store in a database, which it owns from here on. @throws Error where the schema cannot be brought up to date */
export async function sqlStore(database: Database, { clock, log }: SqlStoreOptions): Promise<Store> {
  await migrate(database);
  const listeners = new Set<(change: StoreChange) => void>();
  const changed = (change: StoreChange) => {
    for (const listener of listeners) {
      try {
        listener(change);
      } catch (error) {
        log.error("A change in the store could not be followed", { change, error });
      }
    }
  };
  database.listen((message) => changed(readChange(message)));
  const parts = { database, clock, changed };
  return {
    apps: collection(appsTable, parts),
    fns: collection(fnsTable, parts),
    triggers: {
      ...collection(triggersTable, parts),
      async bySource(appId, type, source) {
        if ([appId, type, source].some((text) => text.includes("\0") || !text.isWellFormed())) return undefined;
        const where = sql`app_id = ${appId} and type = ${type} and source = ${source}`;
        const [row] = await database
          .query(sql`select id, ${triggersTable.columns}, body, created_ms, updated_ms from triggers where ${where}`)
          .catch(told);
        return row && triggersTable.read(row);
      },
    },
    schedules: schedulesOf(database),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

const KINDS = ["app", "fn", "trigger"] as const;

/** What is not understood may be anything: a newer gateway's word, or another program's. */
function readChange(message: string | undefined): StoreChange {
  try {
    const { kind, id, appId } = JSON.parse(message ?? "{}") as Record<string, unknown>;
    const known = KINDS.find((one) => one === kind);
    if (known !== undefined && typeof id === "string" && typeof appId === "string") return { kind: known, id, appId };
  } catch {
    // Told below, as everything that is not understood.
  }
  return { kind: "all" };
}
