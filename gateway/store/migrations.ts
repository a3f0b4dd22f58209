import type { Database, Dialect } from "./database.ts";
import { sql, type Sql } from "./sql.ts";

/**
 * The history of the schema: each entry's statements lead from the version before to its own, the first from nothing.
 * Entries are added, never changed. Settings are in `body`, as JSON: a new one needs no entry here.
 */
const MIGRATIONS: readonly ((dialect: Dialect) => readonly Sql[])[] = [
  ({ textType }) => [
    sql`create table apps (
      id ${textType} primary key,
      name ${textType} not null unique,
      body text not null,
      created_ms bigint not null,
      updated_ms bigint not null)`,
    sql`create table fns (
      id ${textType} primary key,
      app_id ${textType} not null references apps (id) on delete cascade,
      name ${textType} not null,
      body text not null,
      created_ms bigint not null,
      updated_ms bigint not null,
      unique (app_id, name))`,
    sql`create table triggers (
      id ${textType} primary key,
      app_id ${textType} not null references apps (id) on delete cascade,
      fn_id ${textType} not null references fns (id) on delete cascade,
      name ${textType} not null,
      type ${textType} not null,
      source ${textType} not null,
      body text not null,
      created_ms bigint not null,
      updated_ms bigint not null,
      unique (app_id, fn_id, name),
      unique (app_id, type, source))`,
    // Deleting a function looks for its triggers.
    sql`create index triggers_fn on triggers (fn_id)`,
  ],
  () => [
    // When a schedule runs next.
    sql`alter table triggers add column next_ms bigint`,
    sql`create index triggers_next on triggers (next_ms)`,
  ],
];

/** @throws Error where the schema is newer than this program */
export async function migrate(database: Database): Promise<void> {
  const { dialect } = database;
  await database.transaction(async (transaction) => {
    if (dialect.lockSchema !== undefined) await transaction.query(dialect.lockSchema);
    await transaction.query(sql`create table if not exists kiln_schema (version bigint primary key)`);
    const rows = await transaction.query(sql`select max(version) as version from kiln_schema`);
    const version = Number(rows[0]?.["version"] ?? 0);
    if (version > MIGRATIONS.length) {
      throw new Error(
        `The database has schema version ${version}, this Kiln knows versions up to ${MIGRATIONS.length}: ` +
          `a newer Kiln made it, run that one or name another database in FN_DB_URL`,
      );
    }
    for (const [i, statements] of MIGRATIONS.entries()) {
      if (i < version) continue;
      for (const statement of statements(dialect)) await transaction.query(statement);
      await transaction.query(sql`insert into kiln_schema (version) values (${i + 1})`);
    }
  });
}
