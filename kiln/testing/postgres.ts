import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import pg from "pg";

export interface PostgresForTests {
  /** Why tests cannot use it; false where they can. */
  readonly skip: string | false;
  /** A database of its own. Disposing it drops it, whoever is connected. */
  database(): Promise<AsyncDisposable & { readonly url: string }>;
}

const VARIABLE = "KILN_TEST_POSTGRES";

/**
 * Looks for the PostgreSQL server that the variable KILN_TEST_POSTGRES names, for `describe(…, { skip }, …)`. Where CI
 * is "true" a missing one is an error.
 */
export async function postgresOrSkip(environment: NodeJS.ProcessEnv = process.env): Promise<PostgresForTests> {
  const server = environment[VARIABLE] ?? "";
  const skip =
    server === "" ? `${VARIABLE} names no PostgreSQL server: .ci/postgres starts one` : await silence(server);
  if (skip !== false && environment["CI"] === "true") {
    throw new Error(`Cannot test with PostgreSQL: ${skip}, and CI is "true"`);
  }
  return {
    skip,
    async database() {
      const name = `kiln_${randomBytes(6).toString("hex")}`;
      await once(server, `create database ${name}`);
      const url = new URL(server);
      url.pathname = `/${name}`;
      return {
        url: url.href,
        [Symbol.asyncDispose]: () => once(server, `drop database ${name} with (force)`),
      };
    },
  };
}

/** A server of one test's own, to be stopped. Disposing it ends it. */
export interface OwnPostgres extends AsyncDisposable {
  readonly url: string;
  /** Has it do nothing, and keep its connections open. */
  freeze(): Promise<void>;
  resume(): Promise<void>;
  /** Cuts its connections, frozen or not: it takes that for a crash, and recovers. */
  cut(): Promise<void>;
  /** Ends it as a crash of its machine's power would. */
  stop(): Promise<void>;
}

/** Debian's programs: a server elsewhere is not to be stopped. */
export const ownPostgresSkip = existsSync("/usr/lib/postgresql") ? false : "no PostgreSQL is installed here";

export async function ownPostgres(): Promise<OwnPostgres> {
  const directory = await mkdtemp(join(tmpdir(), "kiln-postgres-"));
  const script = async (command: "start" | "stop") => (await run(".ci/postgres", [command, directory])).stdout.trim();
  const url = await script("start");
  const first = async () => Number((await readFile(join(directory, "data/postmaster.pid"), "utf8")).split("\n")[0]);
  const others = async () => {
    const pid = await first();
    return (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8")).trim().split(" ").map(Number);
  };
  const signal = (name: NodeJS.Signals, pids: readonly number[]) => {
    for (const pid of pids) sendSignal(pid, name);
  };
  const resume = async () => signal("SIGCONT", [...(await others()), await first()]);
  let stopped: Promise<unknown> | undefined;
  // One that is frozen would not hear of it.
  const stop = async () => void (await (stopped ??= resume().then(() => script("stop"))));
  return {
    url,
    freeze: async () => signal("SIGSTOP", [await first(), ...(await others())]),
    resume,
    cut: async () => signal("SIGKILL", await others()),
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
      await rm(directory, { recursive: true });
    },
  };
}

const run = promisify(execFile);

/** A worker of the server's may end in between. */
function sendSignal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

async function silence(server: string): Promise<string | false> {
  try {
    await once(server, "select 1");
    return false;
  } catch (error) {
    return `no PostgreSQL answers at ${server}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

async function once(server: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: server, connectionTimeoutMillis: 5_000 });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
