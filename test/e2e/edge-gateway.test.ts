import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";

import { createAuthority } from "../../kiln/pki.ts";
import { created, invoke } from "../../kiln/testing/api-requests.ts";
import { errorBody } from "../../kiln/testing/error-body.ts";
import { eventually } from "../../kiln/testing/eventually.ts";
import { gatewayProcess, runnerProcess, type MainProcess } from "../../kiln/testing/main-process.ts";

const TOKEN = "of the administrators";

describe("an edge gateway", { timeout: 120_000 }, () => {
  it("runs what another gateway's API knows, without a database, and goes on with it while that one is dead", async (t) => {
    await using made = new AsyncDisposableStack();
    const directory = await mkdtemp(join(tmpdir(), "kiln-edge-"));
    made.defer(() => rm(directory, { recursive: true }));
    const authority = await createAuthority();
    const runner = made.use(await runnerProcess(authority, "runner-1"));
    const runners = [`runner-1=${runner.address}`];
    const api = (adminPort = "0") =>
      gatewayProcess(authority, runners, "", {
        FN_FUNCTIONS_FILE: "",
        FN_DB_URL: `sqlite3://${join(directory, "fn.db")}`,
        FN_ADMIN_PORT: adminPort,
        FN_ADMIN_TOKEN: TOKEN,
      });
    const first = made.use(await api());
    const admin = adminOf(first);
    const edge = made.use(
      await gatewayProcess(authority, runners, "", {
        FN_FUNCTIONS_FILE: "",
        FN_RUNNER_API_URL: `http://${admin}`,
        FN_RUNNER_API_TOKEN: TOKEN,
        FN_RUNNER_API_TTL_MSECS: "100",
        FN_RUNNER_API_NEGATIVE_TTL_MSECS: "100",
        FN_RUNNER_API_RETRIES: "1",
      }),
    );
    const make = created(admin, TOKEN);
    const app = await make("apps", { name: "shop" });
    const fn = await make("fns", { app_id: app.id, name: "hello", image: "hello", tmpfs_size: 16, cpus: 0.5 });
    await make("triggers", { app_id: app.id, fn_id: fn.id, name: "hi", type: "http", source: "/hi" });
    const later = await make("fns", { app_id: app.id, name: "later", image: "hello" });

    await t.test("by id and by trigger; what is not there is a 404", async () => {
      assert.equal((await invoke(edge.address, fn.id)).status, 200);
      assert.equal((await fetch(`http://${edge.address}/t/shop/hi`, { method: "POST", body: "{}" })).status, 200);
      const nobody = await invoke(edge.address, "nobody");
      assert.deepEqual([nobody.status, (await errorBody(nobody)).code], [404, "fn_not_found"]);
      assert.equal((await fetch(`http://${edge.address}/t/shop/none`)).status, 404);
    });

    await first.kill();
    await t.test("what it knows while the API is dead; what it does not know is a 503 with a sentence", async () => {
      // Far beyond what is believed without asking.
      await new Promise((resolve) => setTimeout(resolve, 300));
      for (let n = 0; n < 20; n++) assert.equal((await invoke(edge.address, fn.id)).status, 200);
      assert.equal((await fetch(`http://${edge.address}/t/shop/hi`, { method: "POST", body: "{}" })).status, 200);
      const unknown = await invoke(edge.address, later.id);
      const { code, message, retryable } = await errorBody(unknown);
      assert.deepEqual([unknown.status, code, retryable], [503, "store_unavailable", true]);
      assert.equal(message, "The API that knows the functions cannot be reached");
    });

    const again = made.use(await api(admin.split(":")[1]));
    await t.test("all of it when the API is back, and its changes", async () => {
      assert.equal(adminOf(again), admin);
      await eventually(async () => assert.equal((await invoke(edge.address, later.id)).status, 200));
      const gone = await fetch(`http://${admin}/v2/fns/${fn.id}`, {
        method: "DELETE",
        headers: { authorization: `Bearer ${TOKEN}` },
      });
      assert.equal(gone.status, 204);
      await eventually(async () => assert.equal((await invoke(edge.address, fn.id)).status, 404));
    });
    assert.equal(edge.output().match(/The API is away/g)?.length, 1);
    assert.ok(!edge.output().includes(TOKEN));
  });
});

function adminOf(gateway: MainProcess): string {
  const admin = /"admin":"([^"]+)"/.exec(gateway.output())?.[1];
  assert.ok(admin !== undefined, gateway.output());
  return admin;
}
