import { randomBytes } from "node:crypto";

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
