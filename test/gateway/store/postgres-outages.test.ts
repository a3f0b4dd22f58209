import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { systemClock } from "../../../core/clock.ts";
import { silentLog } from "../../../core/log.ts";
import { storeFunctions } from "../../../gateway/functions/store-functions.ts";
import { openStore } from "../../../gateway/store/open-store.ts";
import { errorBody } from "../../../kiln/testing/error-body.ts";
import { eventually } from "../../../kiln/testing/eventually.ts";
import { answers } from "../../../kiln/testing/fake-runner.ts";
import { gatewayFor } from "../../../kiln/testing/gateway-for.ts";
import { ownPostgres, ownPostgresSkip, postgresOrSkip } from "../../../kiln/testing/postgres.ts";
import { newApp, newFn } from "../../../kiln/testing/store-for-tests.ts";

const { skip: noPostgres } = await postgresOrSkip();
const skip =
  "Deno" in globalThis ? "the server is the same, and takes seconds to start" : noPostgres || ownPostgresSkip;
const TIMEOUT_MS = 2_000;
/** Calls of a function that is known; each that waited for the database would take its timeout. */
const CALLS = 40;

describe("a PostgreSQL server that stops under calls", { skip, timeout: 120_000 }, () => {
  it("fails none of a function that is known, lets them wait once at most, is used again when it is back, and can be left", async () => {
    await using server = await ownPostgres();
    const options = { clock: systemClock, log: silentLog, maxConnections: 4, timeoutMs: TIMEOUT_MS };
    await using store = await openStore(server.url, options);
    using functions = storeFunctions(store, { maxEntries: 100 });
    const app = await store.apps.insert(newApp("app"));
    await store.fns.insert(newFn(app.id, "hello", { id: "hello" }));
    const gateway = gatewayFor(answers("here"), { functions });
    const known = async () => {
      const began = performance.now();
      for (let n = 0; n < CALLS; n++) assert.equal(await (await gateway.invoke()).text(), "here");
      assert.ok(performance.now() - began < (CALLS / 2) * TIMEOUT_MS, "they wait for nothing that does not answer");
    };
    const unknown = async () => {
      const response = await gateway.app.request("/invoke/unknown", { method: "POST" });
      return [response.status, (await errorBody(response)).code];
    };
    await known();

    await server.freeze();
    const asked = unknown();
    await known();
    const mayHaveChanged = new Promise((resolve) => store.onChange(resolve));
    await server.cut();
    await mayHaveChanged;
    await known();
    assert.deepEqual(await asked, [503, "store_unavailable"]);
    await server.resume();
    // Its recovery takes as long as the machine lets it.
    while ((await unknown())[0] === 503) await sleep(50);
    assert.deepEqual(await unknown(), [404, "fn_not_found"]);

    await store.fns.insert(newFn(app.id, "later", { id: "unknown" }));
    await eventually(async () =>
      assert.equal((await gateway.app.request("/invoke/unknown", { method: "POST" })).status, 200),
    );
    const left = await openStore(server.url, options);
    await new Promise((resolve) => left.onChange(resolve));
    await server.freeze();
    await left[Symbol.asyncDispose]();
    await server.stop();
    await known();
  });
});
