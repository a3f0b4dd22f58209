import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { pause, systemClock } from "../../core/clock.ts";
import { readSettings } from "../../core/config.ts";
import { createLog } from "../../core/log.ts";
import { createMetrics } from "../../core/metrics.ts";
import { storeFunctions } from "../../gateway/functions/store-functions.ts";
import { serveGateway } from "../../gateway/listeners.ts";
import type { Overrider } from "../../gateway/overrider.ts";
import { GATEWAY_SETTINGS } from "../../gateway/settings.ts";
import { storeTriggers } from "../../gateway/triggers/store-triggers.ts";
import { eventually } from "../../kiln/testing/eventually.ts";
import { FakePlacer, FakePool } from "../../kiln/testing/fake-pool.ts";
import { answers, FakeRunner } from "../../kiln/testing/fake-runner.ts";
import { newApp, newFn, newTrigger, sqliteFile, type DatabaseForTests } from "../../kiln/testing/store-for-tests.ts";

/** A gateway on a database with the function `f`, as these variables of the environment make it. */
async function served(env: Record<string, string>, shared?: DatabaseForTests) {
  const made = new AsyncDisposableStack();
  const database = shared ?? made.use(await sqliteFile());
  const store = made.use(await database.open());
  if (shared === undefined) {
    const app = await store.apps.insert(newApp("a"));
    const fn = await store.fns.insert(newFn(app.id, "f", { id: "f" }));
    await store.triggers.insert(newTrigger(fn, "t", { annotations: { "kiln/hosts": "fn.example.com" } }));
  }
  const functions = made.use(storeFunctions(store, { maxEntries: 10 }));
  const triggers = made.use(storeTriggers(store, { maxEntries: 10 }));
  const lines: string[] = [];
  const log = createLog({ write: (line) => void lines.push(line) });
  const metrics = createMetrics();
  const settings = readSettings(GATEWAY_SETTINGS, { FN_PORT: "0", FN_DRAIN_MSECS: "100", ...env });
  const runner = new FakeRunner("runner:1", answers("ok"));
  const pool = new FakePool(runner);
  const seen: unknown[] = [];
  const overriders: Overrider[] = [
    (c, next) => {
      seen.push(c.get("trigger"));
      return next();
    },
  ];
  const instruments = { clock: systemClock, log, metrics };
  try {
    const both = await serveGateway(settings, {
      gateway: { functions, triggers, placer: new FakePlacer(), pool, overriders, instruments },
      store,
      metrics,
      log,
    });
    made.use(both);
    const status = async (address: string | undefined, path: string, init?: RequestInit) =>
      (await fetch(`http://${address}${path}`, init)).status;
    const endpoint = async (headers: Record<string, string> = {}) => {
      const response = await fetch(`http://${(both.admin ?? both.public).address}/v2/fns/f`, { headers });
      const { annotations } = (await response.json()) as { annotations: Record<string, string> };
      return annotations["fnproject.io/fn/invokeEndpoint"];
    };
    return {
      database,
      store,
      both,
      runner,
      seen,
      lines,
      status,
      endpoint,
      [Symbol.asyncDispose]: () => made.disposeAsync(),
    };
  } catch (error) {
    await made.disposeAsync();
    throw error;
  }
}

const POST = { method: "POST", body: "{}" };

describe("serveGateway", () => {
  it("takes a trigger's host and the URL for what a listed proxy says, and nobody else", async () => {
    const headers = { "x-forwarded-host": "fn.example.com", "x-forwarded-proto": "https" };
    await using behind = await served({ FN_TRUSTED_PROXIES: "127.0.0.1" });
    await using open = await served({});

    assert.equal(await behind.status(behind.both.public.address, "/t/a/t?x=1", { headers }), 200);
    assert.equal(behind.runner.offered[0]?.call.url, "https://fn.example.com/t/a/t?x=1");
    assert.equal(await open.status(open.both.public.address, "/t/a/t?x=1", { headers }), 404);
  });

  it("runs schedules through the operator's middleware, detached, on one of all its gateways", async () => {
    await using one = await served({});
    await using other = await served({}, one.database);
    const fn = await one.store.fns.get("f");
    assert.ok(fn !== undefined);
    const nextMs = Date.now() - 1;
    const annotations = { "kiln/schedule": "0 0 1 1 *" };

    const { id } = await one.store.triggers.insert(newTrigger(fn, "s", { type: "schedule", annotations, nextMs }));

    const offered = () => [...one.runner.offered, ...other.runner.offered].map(({ call }) => call);
    await eventually(() => assert.equal(offered().length, 1));
    await pause(systemClock, 1_200);
    const [call, ...more] = offered();
    assert.equal(more.length, 0);
    assert.equal(call?.type, "detached");
    assert.deepEqual(call.headers, [
      ["Fn-Intent", "schedule"],
      ["Fn-Schedule-Time", new Date(nextMs).toISOString()],
    ]);
    assert.deepEqual([...one.seen, ...other.seen], [{ id, name: "s", type: "schedule", source: "/s", params: {} }]);
    assert.equal(await one.status(one.both.public.address, `/schedules/${id}`, POST), 404);
  });

  it("gives an app hosts of its own, and refuses what is no host", async () => {
    await using gateway = await served({ FN_TRIGGER_HOSTS: "127.0.0.1=a" });

    // It is the app's, so that its trigger for another host is not here, and nothing else is.
    for (const path of ["/t", "/livez", "/invoke/f"]) {
      assert.equal(await gateway.status(gateway.both.public.address, path), 404);
    }
    await assert.rejects(
      served({ FN_TRIGGER_HOSTS: "a.com" }),
      /FN_TRIGGER_HOSTS has "a.com", expected a host and its/,
    );
  });

  it("serves administration beside the calls where only this machine reaches both", async () => {
    await using gateway = await served({});
    const { address } = gateway.both.public;

    assert.equal(gateway.both.admin, undefined);
    assert.equal(await gateway.status(address, "/invoke/f", POST), 200);
    for (const path of ["/v2/apps", "/metrics", "/docs", "/openapi.json", "/version", "/livez", "/readyz"]) {
      assert.equal(await gateway.status(address, path), 200);
    }
    assert.equal(await gateway.status(address, "/nowhere"), 404);
    assert.equal(await gateway.endpoint(), `http://${address}/invoke/f`);
  });

  it("serves administration on a port of its own where it is given one, and there alone", async () => {
    await using gateway = await served({ FN_ADMIN_PORT: "0", FN_ADMIN_TOKEN: "secret" });
    const { both } = gateway;
    const headers = { authorization: "Bearer secret" };

    assert.equal(await gateway.status(both.public.address, "/invoke/f", POST), 200);
    for (const path of ["/v2/apps", "/metrics", "/docs", "/openapi.json"]) {
      assert.equal(await gateway.status(both.public.address, path, { headers }), 404);
      assert.equal(await gateway.status(both.admin?.address, path, { headers }), 200);
      assert.equal(await gateway.status(both.admin?.address, path), 401);
    }
    assert.equal(await gateway.status(both.admin?.address, "/invoke/f", POST), 401);
    assert.equal(await gateway.status(both.admin?.address, "/readyz"), 200);
    assert.equal(await gateway.endpoint(headers), `http://${both.public.address}/invoke/f`, "not where the API is");
  });

  it("serves no administration to everybody, and says what to set", async () => {
    await assert.rejects(
      served({ FN_ADMIN_PORT: "0", FN_ADMIN_BIND: "0.0.0.0" }),
      /set FN_ADMIN_TOKEN, or FN_ADMIN_BIND/,
    );

    await using gateway = await served({ FN_BIND: "0.0.0.0" });
    assert.equal(await gateway.status(`127.0.0.1:${gateway.both.public.port}`, "/v2/apps"), 404);
    assert.match(gateway.lines.join(""), /API and metrics are not served/);
  });

  it("shows functions where FN_PUBLIC_LB_URL says, path and all", async () => {
    await using gateway = await served({ FN_PUBLIC_LB_URL: "https://fn.example.com/base/" });

    assert.equal(await gateway.endpoint(), "https://fn.example.com/base/invoke/f");
  });

  it("needs certificate and key together", async () => {
    await assert.rejects(served({ FN_TLS_CERT: "cert.pem" }), /FN_TLS_CERT and FN_TLS_KEY go together/);
    await assert.rejects(served({ FN_TLS_CERT: "a.pem", FN_TLS_KEY: "b.pem" }), /Cannot use "a.pem" and "b.pem"/);
  });
});
