import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";

import { pause, type Clock } from "../../core/clock.ts";
import type { Database, Row, Transaction } from "./database.ts";
import { rendered, sql, type Sql } from "./sql.ts";
import { StoreFault, type FaultKind } from "./store-fault.ts";

export interface SqliteOptions {
  readonly path: string;
  readonly clock: Clock;
  /** How long a write waits for another process's. */
  readonly timeoutMs: number;
  /** How often other processes' changes are looked for. */
  readonly pollMs?: number;
}

const BUSY_AGAIN_MS = 2;
/** Statements are few; a filter's combinations make some more. */
const MOST_PREPARED = 64;

/**
 * A file, made where there is none. One connection writes, another reads, so that a reader never sees what is not
 * committed. Writes take a few milliseconds each, of which the disk takes all.
 * @throws Error naming the file, if it cannot be opened
 */
export async function openSqlite(options: SqliteOptions): Promise<Database> {
  const { path, clock, timeoutMs, pollMs = 250 } = options;
  await mkdir(dirname(path), { recursive: true });
  const writer = connect(path, timeoutMs);
  const reader = connect(path, timeoutMs);
  // A reader waits only while a file that was left behind is recovered; a writer's wait is `begin`'s.
  writer.database.exec("pragma busy_timeout = 0");
  let writing: Promise<unknown> = Promise.resolve();
  let heard: ((message: string | undefined) => void) | undefined;
  let cancel = (): void => {};
  let version = 0;

  const poll = () => {
    const now = dataVersion(reader);
    if (now !== version) heard?.(undefined);
    version = now;
    cancel = clock.after(pollMs, poll);
  };

  const transact = async <T>(work: (transaction: Transaction) => Promise<T>): Promise<T> => {
    await begin(writer, { clock, timeoutMs });
    try {
      const result = await work({
        query: (statement) => Promise.resolve().then(() => run(writer, statement)),
        notify: () => Promise.resolve(),
      });
      run(writer, sql`commit`);
      return result;
    } catch (error) {
      if (writer.database.isTransaction) run(writer, sql`rollback`);
      throw error;
    }
  };

  return {
    dialect: { textType: sql`text`, forUpdate: sql``, lockSchema: undefined },
    query: (statement) => Promise.resolve().then(() => run(reader, statement)),
    transaction(work) {
      // One after the other: they share a connection.
      const result = writing.then(() => transact(work));
      writing = result.catch(() => {});
      return result;
    },
    listen(callback) {
      heard = callback;
      version = dataVersion(reader);
      cancel = clock.after(pollMs, poll);
    },
    async [Symbol.asyncDispose]() {
      cancel();
      await writing;
      reader.database.close();
      writer.database.close();
    },
  };
}

/** Takes the file's write lock. SQLite's own wait would hold the whole process. */
async function begin(
  writer: Connection,
  { clock, timeoutMs }: Pick<SqliteOptions, "clock" | "timeoutMs">,
): Promise<void> {
  const patience = clock.now() + timeoutMs;
  for (;;) {
    try {
      return void run(writer, sql`begin immediate`);
    } catch (error) {
      if (!(error instanceof StoreFault && error.kind === "busy") || clock.now() > patience) throw error;
      await pause(clock, BUSY_AGAIN_MS);
    }
  }
}

interface Connection {
  readonly database: DatabaseSync;
  readonly prepared: Map<string, StatementSync>;
}

function connect(path: string, timeoutMs: number): Connection {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: timeoutMs, enableForeignKeyConstraints: true });
    database.exec("pragma journal_mode = wal; pragma synchronous = full;");
    return { database, prepared: new Map() };
  } catch (cause) {
    database?.close();
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`Cannot open the database ${path}: ${reason}`, { cause });
  }
}

function run({ database, prepared }: Connection, statement: Sql): Row[] {
  const { text, values } = rendered(statement, () => "?");
  try {
    let ready = prepared.get(text);
    if (ready === undefined) {
      if (prepared.size >= MOST_PREPARED) prepared.clear();
      prepared.set(text, (ready = database.prepare(text)));
    }
    return ready.all(...values) as Row[];
  } catch (cause) {
    throw new StoreFault(kindOf(cause), { cause });
  }
}

/** Differs after every commit of another connection, the writer's among them. */
function dataVersion(connection: Connection): number {
  return Number(run(connection, sql`pragma data_version`)[0]?.["data_version"]);
}

/** SQLite's extended result codes: a broken unique or primary key, a row that refers to none, another's write lock. */
const KINDS: Readonly<Record<number, FaultKind>> = { 2067: "taken", 1555: "taken", 787: "dangling", 5: "busy" };

function kindOf(cause: unknown): FaultKind {
  const code = typeof cause === "object" && cause !== null && "errcode" in cause ? Number(cause.errcode) : NaN;
  return KINDS[code] ?? "broken";
}
