import { CallError } from "../../core/call-error.ts";
import { DEFAULTS } from "../../core/function-spec.ts";
import type { Table } from "./collection.ts";
import type { Queries, Row } from "./database.ts";
import { all, sql, type Sql } from "./sql.ts";
import type { AppFilter, FnFilter, StoredApp, StoredFn, StoredTrigger, TriggerFilter } from "./store.ts";

export const appsTable: Table<StoredApp, AppFilter> = {
  name: sql`apps`,
  kind: "app",
  columns: sql`name`,
  keys: ({ name }) => [name],
  read: (row) => ({ config: {}, annotations: {}, syslogUrl: "", shape: "", ...common(row) }),
  body: ({ config, annotations, syslogUrl, shape }) => ({ config, annotations, syslogUrl, shape }),
  where: ({ name }) => (name === undefined ? sql`1 = 1` : sql`name = ${name}`),
  appId: ({ id }) => id,
  async check(queries, app) {
    await refuseTaken(queries, sql`apps`, app.id, sql`name = ${app.name}`, `App "${app.name}" already exists`);
  },
};

export const fnsTable: Table<StoredFn, FnFilter> = {
  name: sql`fns`,
  kind: "fn",
  columns: sql`app_id, name`,
  keys: ({ appId, name }) => [appId, name],
  read: (row) => ({
    ...DEFAULTS,
    image: "",
    config: {},
    annotations: {},
    shape: "",
    ...common(row),
    appId: String(row["app_id"]),
  }),
  body: ({ id: _id, appId: _app, name: _name, createdMs: _created, updatedMs: _updated, ...body }) => body,
  where: ({ appId, name }) => all([sql`app_id = ${appId}`, ...(name === undefined ? [] : [sql`name = ${name}`])]),
  appId: ({ appId }) => appId,
  async check(queries, fn, before) {
    if (before === undefined) await needApp(queries, fn.appId);
    const same = sql`app_id = ${fn.appId} and name = ${fn.name}`;
    await refuseTaken(queries, sql`fns`, fn.id, same, `Fn "${fn.name}" already exists in this app`);
  },
};

export const triggersTable: Table<StoredTrigger, TriggerFilter> = {
  name: sql`triggers`,
  kind: "trigger",
  columns: sql`app_id, fn_id, name, type, source, next_ms`,
  keys: ({ appId, fnId, name, type, source, nextMs }) => [appId, fnId, name, type, source, nextMs ?? null],
  read: (row) => ({
    annotations: {},
    ...common(row),
    appId: String(row["app_id"]),
    fnId: String(row["fn_id"]),
    type: String(row["type"]),
    source: String(row["source"]),
    ...(row["next_ms"] === null ? {} : { nextMs: Number(row["next_ms"]) }),
  }),
  body: ({ annotations }) => ({ annotations }),
  where: ({ appId, fnId, name }) =>
    all([
      sql`app_id = ${appId}`,
      ...(fnId === undefined ? [] : [sql`fn_id = ${fnId}`]),
      ...(name === undefined ? [] : [sql`name = ${name}`]),
    ]),
  appId: ({ appId }) => appId,
  async check(queries, trigger) {
    const { id, appId, fnId, name, type, source } = trigger;
    await needApp(queries, appId);
    const [fn] = await queries.query(sql`select app_id from fns where id = ${fnId}`);
    if (fn === undefined) throw new CallError("fn_not_found");
    if (fn["app_id"] !== appId) {
      throw new CallError("invalid_field", `Field "fn_id" names a function of another app than "app_id"`);
    }
    const sameSource = sql`app_id = ${appId} and type = ${type} and source = ${source}`;
    await refuseTaken(queries, sql`triggers`, id, sameSource, `Source "${source}" is taken by another trigger`);
    const sameName = sql`app_id = ${appId} and fn_id = ${fnId} and name = ${name}`;
    await refuseTaken(queries, sql`triggers`, id, sameName, `Trigger "${name}" already exists for this function`);
  },
};

function common(row: Row) {
  return {
    ...(JSON.parse(String(row["body"])) as object),
    id: String(row["id"]),
    name: String(row["name"]),
    // PostgreSQL gives 64 bits as text.
    createdMs: Number(row["created_ms"]),
    updatedMs: Number(row["updated_ms"]),
  };
}

async function needApp(queries: Queries, id: string): Promise<void> {
  const rows = await queries.query(sql`select id from apps where id = ${id}`);
  if (rows.length === 0) throw new CallError("app_not_found");
}

async function refuseTaken(queries: Queries, table: Sql, id: string, same: Sql, message: string): Promise<void> {
  const rows = await queries.query(sql`select id from ${table} where (${same} and id <> ${id}) limit 1`);
  if (rows.length > 0) throw new CallError("already_exists", message);
}
