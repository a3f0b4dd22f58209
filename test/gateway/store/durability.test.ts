import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { systemClock } from "../../../core/clock.ts";
import { silentLog } from "../../../core/log.ts";
import { migrate } from "../../../gateway/store/migrations.ts";
import { openStore } from "../../../gateway/store/open-store.ts";
import { openPostgres } from "../../../gateway/store/postgres.ts";
import { sql } from "../../../gateway/store/sql.ts";
import { openSqlite } from "../../../gateway/store/sqlite.ts";
import type { Store } from "../../../gateway/store/store.ts";
import { databaseKinds } from "../../../kiln/testing/store-for-tests.ts";

const KILLS = 8;

const onDeno = "Deno" in globalThis ? "the writer is a process of Node's" : false;

for (const { name, skip, create } of await databaseKinds()) {
  describe(`a database of ${name}`, { skip }, () => {
    it(`has all that was answered, however often its writer is killed (${KILLS} times)`, { skip: onDeno }, async () => {
      await using database = await create();
      await (await database.open())[Symbol.asyncDispose]();
      const answered = new Map<string, string>();

      for (let kill = 0; kill < KILLS; kill++) {
        const writer = spawn(
          process.execPath,
          [...process.execArgv, "kiln/testing/store-writer.ts", database.url, `k${kill}`],
          {
            stdio: ["ignore", "pipe", "inherit"],
          },
        );
        let text = "";
        writer.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
        await once(writer.stdout, "data");
        // At another moment of a write each time.
        await sleep(20 + kill * 7);
        writer.kill("SIGKILL");
        await once(writer, "close");
        // What stands behind the last line's end may be half of a line.
        for (const line of text
          .slice(0, text.lastIndexOf("\n") + 1)
          .trim()
          .split("\n")) {
          const [app = "", version = ""] = line.split(" ");
          answered.set(app, version);
        }
        await using store = await database.open();
        const stored = await everything(store);
        for (const [app, version] of answered) {
          const found = stored.get(app);
          assert.ok(found !== undefined, `${app} was answered and is not there`);
          assert.ok(found >= version, `${app} was answered with ${version} and is ${found}`);
        }
      }
      assert.ok(answered.size >= KILLS);
    });

    it("of a newer schema stops the start with a sentence, and is left as it is", async () => {
      await using database = await create();
      await (await database.open())[Symbol.asyncDispose]();
      const raw = await rawDatabase(database.url);
      await raw.transaction((transaction) => transaction.query(sql`insert into kiln_schema (version) values (99)`));

      await assert.rejects(database.open(), (error: Error) => {
        assert.match(error.message, /schema version 99, this Kiln knows versions up to \d+: a newer Kiln made it/);
        assert.match(error.message, /FN_DB_URL/);
        return true;
      });
      await assert.rejects(migrate(raw), /schema version 99/);
      await raw[Symbol.asyncDispose]();
    });
  });
}

describe("openStore", () => {
  const open = (url: string) =>
    openStore(url, { clock: systemClock, log: silentLog, maxConnections: 1, timeoutMs: 5_000 });

  it("says what it expects of a URL, and never its password", async () => {
    await assert.rejects(open("mysql://kiln:secret@host/db"), (error: Error) => {
      assert.match(error.message, /FN_DB_URL is "mysql:\/\/\*\*\*@host\/db", expected sqlite3:.* or postgres:/);
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
    await assert.rejects(open("sqlite3://"), /expected a file/);
    await assert.rejects(open("postgres://kiln:secret@127.0.0.1:1/db"), (error: Error) => {
      assert.match(error.message, /^Cannot use the database postgres:\/\/\*\*\*@127\.0\.0\.1:1\/db: .*ECONNREFUSED/);
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
  });

  it("makes file and folder, and says of a file that is no database what it is", async () => {
    const directory = await mkdtemp(join(tmpdir(), "kiln-db-"));
    const file = join(directory, "not.db");
    await writeFile(file, "this is text, and long enough to be taken for a page of something else");

    await (await open(`sqlite3://${directory}/a/b%20c/fn.db`))[Symbol.asyncDispose]();
    await assert.rejects(open(`sqlite3://${file}`), /Cannot open the database .*not\.db: file is not a database/);

    await rm(directory, { recursive: true });
  });
});

function rawDatabase(url: string) {
  if (url.startsWith("sqlite3:"))
    return openSqlite({ path: url.slice("sqlite3://".length), clock: systemClock, timeoutMs: 5_000 });
  return openPostgres({ url, clock: systemClock, log: silentLog, timeoutMs: 5_000 });
}

/** Every app by name, with the value that its writer gave it last. */
async function everything(store: Store): Promise<Map<string, string>> {
  const all = new Map<string, string>();
  for (let after: { name: string } | undefined; ;) {
    const page = await store.apps.list({}, { after, limit: 1_000 });
    for (const app of page) all.set(app.name, app.config["A"] ?? "");
    after = page.at(-1);
    if (after === undefined) return all;
  }
}
