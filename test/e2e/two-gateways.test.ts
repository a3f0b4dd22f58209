import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { createAuthority } from "../../kiln/pki.ts";
import { created, invoke } from "../../kiln/testing/api-requests.ts";
import { gatewayProcess, runnerProcess } from "../../kiln/testing/main-process.ts";
import { postgresOrSkip } from "../../kiln/testing/postgres.ts";

const postgres = await postgresOrSkip();
const CALLERS = 4;

describe("two gateways on one PostgreSQL with three runners", { skip: postgres.skip, timeout: 120_000 }, () => {
  it("run what was made on the other within a second, and one goes on without error when the other is killed", async (t) => {
    await using made = new AsyncDisposableStack();
    const database = made.use(await postgres.database());
    const authority = await createAuthority();
    const names = ["runner-1", "runner-2", "runner-3"];
    const runners = await Promise.all(names.map(async (name) => made.use(await runnerProcess(authority, name))));
    const addresses = runners.map(({ address }, n) => `${names[n]}=${address}`);
    const gateway = async () =>
      made.use(
        await gatewayProcess(authority, addresses, "", {
          FN_FUNCTIONS_FILE: "",
          FN_DB_URL: database.url,
          FN_PLACER: "naive",
        }),
      );
    const [one, other] = await Promise.all([gateway(), gateway()]);
    const app = await created(one.address)("apps", { name: "a" });

    let fnId = "";
    await t.test("create on one, invoke on the other", async () => {
      // Asked for before it is there: that there is none is remembered too.
      fnId = "made-in-a-moment";
      assert.equal((await invoke(other.address, fnId)).status, 404);
      const headers = { "if-none-match": "*" };
      const body = JSON.stringify({ app_id: app.id, name: "hello", image: "hello" });
      const made = await fetch(`http://${one.address}/v2/fns/${fnId}`, { method: "PUT", headers, body });
      assert.equal(made.status, 200, await made.text());
      const madeAt = performance.now();
      let found = 404;
      while (found === 404 && performance.now() - madeAt < 1_000) {
        found = (await invoke(other.address, fnId, AbortSignal.timeout(20_000))).status;
        if (found === 404) await sleep(10);
      }
      assert.equal(found, 200, "it was found within a second");
    });

    await t.test("kill -9 one under load", async () => {
      const statuses = new Map<string, number>();
      const stop = new AbortController();
      const caller = async (address: string, group: string) => {
        while (!stop.signal.aborted) {
          const outcome = await invoke(address, fnId).then(
            async (response) => `${response.status} ${await response.text()}`,
            () => "lost",
          );
          const key = `${group} ${outcome}`;
          statuses.set(key, (statuses.get(key) ?? 0) + 1);
          if (outcome === "lost") await sleep(20);
        }
      };
      const callers = [one, other].flatMap(({ address }, n) =>
        Array.from({ length: CALLERS }, () => caller(address, n === 0 ? "one" : "other")),
      );
      const good = (group: string) => statuses.get(`${group} 200 {"message":"Hello, you"}`) ?? 0;
      const until = async (reached: () => boolean) => {
        while (!reached()) await sleep(10);
      };
      await until(() => good("one") > 50 && good("other") > 50);
      await one.kill();
      const before = good("other");
      await until(() => good("other") > before + 200 && (statuses.get("one lost") ?? 0) > 0);
      stop.abort();
      await Promise.all(callers);

      const seen = [...statuses.keys()].filter((key) => key.startsWith("other"));
      assert.deepEqual(seen, [`other 200 {"message":"Hello, you"}`], JSON.stringify([...statuses]));
      const changed = await fetch(`http://${other.address}/v2/fns/${fnId}`, {
        method: "PUT",
        body: JSON.stringify({ memory: 64 }),
      });
      assert.equal(changed.status, 200, "it administers too");
    });
  });
});
