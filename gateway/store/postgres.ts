import { Socket } from "node:net";

import pg from "pg";

import { pause, type Clock } from "../../core/clock.ts";
import type { Log } from "../../core/log.ts";
import type { Database, Row } from "./database.ts";
import { rendered, sql, type Sql } from "./sql.ts";
import { StoreFault, type FaultKind } from "./store-fault.ts";

export interface PostgresOptions {
  readonly url: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Most connections, beside the one that listens. */
  readonly maxConnections?: number;
  /** Longest wait for a connection, for a statement, none of which reads more than a page, and for an end to them all. */
  readonly timeoutMs: number;
}

const CHANNEL = "kiln_changes";
const LISTEN_AGAIN_MS = 250;
const LATE_NEWS_MS = 500;
/** Any number, as long as every gateway takes the same. */
const SCHEMA_LOCK = 5_017_116;

/** A PostgreSQL server, which several gateways may share. */
export function openPostgres(options: PostgresOptions): Database {
  const { url, clock, log, maxConnections = 10, timeoutMs } = options;
  const sockets = new Set<Socket>();
  const settings = {
    connectionString: url,
    connectionTimeoutMillis: timeoutMs,
    application_name: "kiln",
    stream: () => memberOf(sockets),
  };
  const pool = new pg.Pool({
    ...settings,
    max: maxConnections,
    statement_timeout: timeoutMs,
    // A server that has stopped keeps no time: it gets a moment to say that it was too late.
    query_timeout: timeoutMs + LATE_NEWS_MS,
  });
  // Of a connection that nobody uses: the next query opens another.
  pool.on("error", (error) => log.warn("Lost a connection to the database", { error }));
  const closing = new AbortController();
  let listening: Promise<void> = Promise.resolve();

  return {
    dialect: {
      textType: sql`text collate "C"`,
      forUpdate: sql`for update`,
      lockSchema: sql`select pg_advisory_xact_lock(${SCHEMA_LOCK})`,
    },
    query: (statement) => run(pool, statement),
    async transaction(work) {
      const client = await pool.connect().catch(fault);
      let broken = true;
      try {
        await run(client, sql`begin`);
        const result = await work({
          query: (statement) => run(client, statement),
          notify: async (message) => void (await run(client, sql`select pg_notify(${CHANNEL}, ${message})`)),
        });
        await run(client, sql`commit`);
        broken = false;
        return result;
      } catch (error) {
        await run(client, sql`rollback`).then(
          () => (broken = false),
          () => {},
        );
        throw error;
      } finally {
        client.release(broken);
      }
    },
    listen(heard) {
      listening = keepListening(settings, heard, { clock, log, signal: closing.signal });
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      // A server that has stopped does not hear that its clients leave.
      const cut = () => sockets.forEach((socket) => socket.destroy());
      const cancelCut = clock.after(timeoutMs, cut, true);
      await Promise.all([listening, pool.end()]).finally(cancelCut);
    },
  };
}

/** A new socket, among them until it is closed. */
function memberOf(sockets: Set<Socket>): Socket {
  const socket = new Socket();
  sockets.add(socket);
  socket.once("close", () => sockets.delete(socket));
  return socket;
}

interface ListenParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Listens on a connection of its own, and opens another whenever it is lost. */
async function keepListening(
  settings: pg.ClientConfig,
  heard: (message: string | undefined) => void,
  { clock, log, signal }: ListenParts,
): Promise<void> {
  let told = false;
  while (!signal.aborted) {
    try {
      await listenOnce(settings, heard, signal);
      told = false;
    } catch (error) {
      if (!told) log.warn("Does not hear of changes in the database, tries again", { error });
      told = true;
    }
    // Of what changed meanwhile nobody told.
    if (!signal.aborted) heard(undefined);
    await pause(clock, LISTEN_AGAIN_MS, signal);
  }
}

async function listenOnce(
  settings: pg.ClientConfig,
  heard: (message: string | undefined) => void,
  signal: AbortSignal,
): Promise<void> {
  const client = new pg.Client({ ...settings, keepAlive: true });
  const over = Promise.withResolvers<void>();
  const close = () => over.resolve();
  client.on("error", (error) => over.reject(error));
  client.on("end", close);
  client.on("notification", ({ payload }) => heard(payload));
  signal.addEventListener("abort", close, { once: true });
  try {
    await client.connect();
    await client.query(`listen ${CHANNEL}`);
    // What changed between the last connection and this one.
    heard(undefined);
    await over.promise;
  } finally {
    signal.removeEventListener("abort", close);
    over.promise.catch(() => {});
    await client.end().catch(() => {});
  }
}

async function run(client: pg.Pool | pg.PoolClient, statement: Sql): Promise<readonly Row[]> {
  const { text, values } = rendered(statement, (n) => `$${n}`);
  const { rows } = await client.query<Record<string, string | number | null>>(text, values).catch(fault);
  return rows;
}

/** PostgreSQL's codes for a broken unique key, and for a row that refers to none. */
const KINDS: Readonly<Record<string, FaultKind>> = { "23505": "taken", "23503": "dangling" };

function fault(cause: unknown): never {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  throw new StoreFault(KINDS[code] ?? "broken", { cause });
}
