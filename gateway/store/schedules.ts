import { told } from "./collection.ts";
import type { Database } from "./database.ts";
import { sql } from "./sql.ts";
import type { DueTrigger, Schedules } from "./store.ts";
import { triggersTable } from "./tables.ts";

export function schedulesOf(database: Database): Schedules {
  return {
    async due(untilMs, limit) {
      const fields = sql`id, ${triggersTable.columns}, body, created_ms, updated_ms`;
      const rows = await database
        .query(sql`select ${fields} from triggers where next_ms <= ${untilMs} order by next_ms, id limit ${limit}`)
        .catch(told);
      return rows.map((row): DueTrigger => ({ ...triggersTable.read(row), dueMs: Number(row["next_ms"]) }));
    },
    async claim(id, dueMs, nextMs) {
      const moved = sql`update triggers set next_ms = ${nextMs ?? null} where id = ${id} and next_ms = ${dueMs} returning id`;
      const rows = await database.transaction((transaction) => transaction.query(moved)).catch(told);
      return rows.length === 1;
    },
  };
}
