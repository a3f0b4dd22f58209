import { isDeepStrictEqual } from "node:util";

import { CallError } from "../../core/call-error.ts";
import { newCallId } from "../../core/call.ts";
import type { Clock } from "../../core/clock.ts";
import type { Database, Queries, Row, Transaction } from "./database.ts";
import { all, sql, type Sql, type SqlValue } from "./sql.ts";
import { StoreFault } from "./store-fault.ts";
import type { Change, Collection, New, Page, Stored, StoreChange } from "./store.ts";

type Entity = Stored & { readonly id: string; readonly name: string };

/** How one kind of entity lies in its table. */
export interface Table<T extends Entity, Filter> {
  readonly name: Sql;
  readonly kind: "app" | "fn" | "trigger";
  /** The columns that identify it, beside its id, in the order of `keys`; all else is in `body`. */
  readonly columns: Sql;
  keys(entity: T): readonly SqlValue[];
  read(row: Row): T;
  /** All that is in no column of its own. */
  body(entity: T): object;
  where(filter: Filter): Sql;
  appId(entity: T): string;
  /** What must be there, and what must not, before this is written. @throws CallError */
  check(queries: Queries, entity: T, before: T | undefined): Promise<void>;
}

export interface CollectionParts {
  readonly database: Database;
  readonly clock: Clock;
  /** Told of every change that is on disk. */
  readonly changed: (change: StoreChange) => void;
}

export function collection<T extends Entity, Filter>(
  table: Table<T, Filter>,
  { database, clock, changed }: CollectionParts,
): Collection<T, Filter> {
  const { name, columns } = table;
  const fields = sql`id, ${columns}, body, created_ms, updated_ms`;

  const find = async (queries: Queries, id: string, lock: Sql): Promise<T> => {
    const rows = isText(id) ? await queries.query(sql`select ${fields} from ${name} where id = ${id} ${lock}`) : [];
    if (rows[0] === undefined) throw new CallError(`${table.kind}_not_found`);
    return table.read(rows[0]);
  };
  /** Runs a change, tells everybody of it once it is on disk, and tells failures as the store's callers know them. */
  const write = async <R>(work: (transaction: Transaction) => Promise<{ result: R; of: T | undefined }>) => {
    const { result, of } = await database
      .transaction(async (transaction) => {
        const done = await work(transaction);
        if (done.of !== undefined) await transaction.notify(JSON.stringify(changeOf(done.of)));
        return done;
      })
      .catch(told);
    if (of !== undefined) changed(changeOf(of));
    return result;
  };
  const changeOf = (entity: T): StoreChange => ({ kind: table.kind, id: entity.id, appId: table.appId(entity) });

  return {
    insert: (made: New<T>) =>
      write(async (transaction) => {
        const now = clock.wallMs();
        // What `New` leaves out is exactly what is added here.
        const entity = { ...made, id: made.id ?? newCallId(), createdMs: now, updatedMs: now } as unknown as T;
        await table.check(transaction, entity, undefined);
        const values = [entity.id, ...table.keys(entity), JSON.stringify(table.body(entity)), now, now];
        await transaction.query(sql`insert into ${name} (${fields}) values (${list(values)})`);
        return { result: entity, of: entity };
      }),
    get: (id) =>
      find(database, id, sql``).catch((error: unknown) => (error instanceof CallError ? undefined : told(error))),
    async list(filter: Filter, { after, limit }: Page) {
      if (!Object.values(filter ?? {}).every(isText) || !isText(after?.name) || !isText(after?.id)) return [];
      const start =
        after === undefined
          ? sql`1 = 1`
          : after.id === undefined
            ? sql`name > ${after.name}`
            : sql`(name > ${after.name} or (name = ${after.name} and id > ${after.id}))`;
      const where = all([table.where(filter), start]);
      const rows = await database
        .query(sql`select ${fields} from ${name} where ${where} order by name, id limit ${limit}`)
        .catch(told);
      return rows.map((row) => table.read(row));
    },
    update: (id: string, change: Change<T>) =>
      write(async (transaction) => {
        const current = await find(transaction, id, database.dialect.forUpdate);
        const { createdMs, updatedMs } = current;
        const same: T = { ...change(current), id, createdMs, updatedMs };
        if (isDeepStrictEqual(same, current)) return { result: current, of: undefined };
        const next: T = { ...same, updatedMs: Math.max(clock.wallMs(), updatedMs + 1) };
        await table.check(transaction, next, current);
        const values = list([...table.keys(next), JSON.stringify(table.body(next)), next.updatedMs]);
        await transaction.query(sql`update ${name} set (${columns}, body, updated_ms) = (${values}) where id = ${id}`);
        return { result: next, of: next };
      }),
    delete: (id, check = () => {}) =>
      write(async (transaction) => {
        const current = await find(transaction, id, database.dialect.forUpdate);
        check(current);
        await transaction.query(sql`delete from ${name} where id = ${id}`);
        return { result: undefined, of: current };
      }),
  };
}

/** Whether a database can hold it: PostgreSQL has no NUL, and half a character would come back as another. */
function isText(value: unknown): boolean {
  return value === undefined || (typeof value === "string" && !value.includes("\0") && value.isWellFormed());
}

function list(values: readonly SqlValue[]): Sql {
  return { strings: ["", ...values.slice(1).map(() => ", "), ""], values };
}

/** @throws CallError for what a database refused */
export function told(error: unknown): never {
  if (!(error instanceof StoreFault)) throw error;
  // Checked before, so this is another gateway's doing at the same moment.
  if (error.kind === "taken") throw new CallError("already_exists", undefined, { cause: error });
  if (error.kind === "dangling") throw new CallError("app_not_found", undefined, { cause: error });
  throw new CallError("store_unavailable", undefined, { cause: error });
}
