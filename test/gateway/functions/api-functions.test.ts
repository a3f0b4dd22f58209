import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { systemClock } from "../../../core/clock.ts";
import { createLog } from "../../../core/log.ts";
import { apiClient } from "../../../gateway/api-client/api-client.ts";
import { apiFunctions } from "../../../gateway/functions/api-functions.ts";
import { listen } from "../../../gateway/listen.ts";
import { apiForTests } from "../../../kiln/testing/api-for-tests.ts";
import { eventually } from "../../../kiln/testing/eventually.ts";

const signal = new AbortController().signal;

/** A lookup that reads a real API over HTTP, with what it asked for. */
async function reading({ freshMs = 0, noneMs = 1, retries = 5 } = {}) {
  await using made = new AsyncDisposableStack();
  const api = made.use(await apiForTests());
  const requests: string[] = [];
  const state: { status: number | undefined } = { status: undefined };
  const lines: string[] = [];
  const log = createLog({ write: (line) => void lines.push(line) });
  const fetch = async (request: Request) => {
    const { pathname, search } = new URL(request.url);
    const answer = state.status === undefined ? await api.fetch(request) : Response.json({}, { status: state.status });
    requests.push(`${answer.status} ${pathname}${search}`);
    return answer;
  };
  const listener = made.use(await listen({ fetch }, { host: "127.0.0.1", port: 0, drainTimeoutMs: 0 }));
  const client = made.use(
    apiClient({
      url: `http://${listener.address}`,
      token: "",
      timeoutMs: 5_000,
      connections: 4,
      maxAnswerBytes: 1_048_576,
    }),
  );
  const limits = { maxEntries: 100, freshMs, noneMs, staleMs: 60_000 };
  const lookup = apiFunctions({ client, limits, retries, clock: systemClock, log });
  const owned = made.move();
  return {
    api,
    lookup,
    requests,
    state,
    lines,
    find: (id: string) => lookup.find(id, signal),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

describe("apiFunctions", () => {
  it("finds a function whole: every field, Kiln's own settings, and no annotation that is only computed", async () => {
    await using one = await reading();
    const app = await one.api.app({ config: { A: "1" }, annotations: { owner: "us" }, syslog_url: "udp://logs:514" });
    const fn = await one.api.fn(app.id, {
      memory: 256,
      timeout: 7,
      idle_timeout: 9,
      config: { SECRET: "x" },
      annotations: { "kiln/max-calls": 100, "kiln/on-cancel": "finish", note: { deep: [1] } },
      tmpfs_size: 32,
      cpus: "500m",
      concurrency: 4,
      min_containers: 1,
      max_containers: 5,
      idempotent: true,
    });

    const found = await one.find(fn.id);

    const {
      createdMs: _made,
      updatedMs: _changed,
      shape: _shape,
      ...stored
    } = (await one.api.store.fns.get(fn.id)) ?? {};
    assert.deepEqual(found?.fn, stored);
    assert.equal(found?.fn.tmpfsMiB, 32);
    assert.equal(found?.fn.cpuMillis, 500);
    assert.deepEqual(
      [found?.app.name, found?.app.config, found?.app.syslogUrl],
      [app.name, { A: "1" }, "udp://logs:514"],
    );
  });

  it("gives the same object while nothing changed, for the price of an empty answer", async () => {
    await using one = await reading();
    const app = await one.api.app();
    const fn = await one.api.fn(app.id);

    const found = await one.find(fn.id);
    assert.equal(await one.find(fn.id), found);
    assert.deepEqual(
      one.requests.map((line) => line.split(" ")[0]),
      ["200", "200", "304", "304"],
    );
    await one.api.get("PUT", `/v2/apps/${app.id}`, { config: { A: "2" } });
    const changed = await one.find(fn.id);
    assert.notEqual(changed, found);
    assert.deepEqual([changed?.app.config, changed?.fn], [{ A: "2" }, found?.fn]);
  });

  it("sees what was made, changed and deleted", async () => {
    await using one = await reading();
    const app = await one.api.app();
    const fn = await one.api.fn(app.id);
    assert.equal((await one.find(fn.id))?.fn.image, "image:1");
    await one.api.get("PUT", `/v2/fns/${fn.id}`, { image: "image:2" });
    assert.equal((await one.find(fn.id))?.fn.image, "image:2");
    await one.api.send("DELETE", `/v2/apps/${app.id}`);
    assert.equal(await one.find(fn.id), undefined);
  });

  it("takes a 404 for an answer, asks for it once in a while, and nobody for what is no id", async () => {
    await using one = await reading({ freshMs: 60_000, noneMs: 60_000 });

    for (const id of ["nobody", "nobody", "%2e%2e", "../apps", "", "a/b", "x".repeat(200), "naïve"]) {
      assert.equal(await one.find(id), undefined);
    }
    assert.deepEqual(one.requests, ["404 /v2/fns/nobody"]);
  });

  it("tries again where the server fails, and not for ever", async () => {
    await using one = await reading({ retries: 2 });
    const fn = await one.api.fn((await one.api.app()).id);
    one.state.status = 503;

    const finding = one.find(fn.id);
    await eventually(() => assert.ok(one.requests.length > 0));
    one.state.status = undefined;
    assert.equal((await finding)?.fn.id, fn.id);

    one.requests.length = 0;
    one.state.status = 503;
    await assert.rejects(one.find("unknown"), { code: "store_unavailable", status: 503 });
    assert.equal(one.requests.length, 3);
  });

  it("serves what it knows while the API fails, says so once, and says when it is back", async () => {
    await using one = await reading();
    const fn = await one.api.fn((await one.api.app()).id);
    const known = await one.find(fn.id);
    one.state.status = 502;

    for (let n = 0; n < 5; n++) assert.equal(await one.find(fn.id), known);
    one.state.status = undefined;
    await one.api.get("PUT", `/v2/fns/${fn.id}`, { image: "image:2" });
    await eventually(async () => assert.equal((await one.find(fn.id))?.fn.image, "image:2"));
    assert.equal(one.lines.filter((line) => line.includes("The API is away")).length, 1);
    assert.equal(one.lines.filter((line) => line.includes("answers again")).length, 1);
  });

  it("refuses a function that it cannot run as it is, and says why", async () => {
    await using one = await reading();
    const app = await one.api.app();
    const fn = await one.api.fn(app.id);
    // As of a server that never looked at it: Fn's own.
    await one.api.store.fns.update(fn.id, (now) => ({ ...now, annotations: { "kiln/concurrency": "many" } }));

    await assert.rejects(one.find(fn.id), {
      code: "invalid_call",
      message: /kiln\/concurrency is "many", expected an integer 1 to 1000/,
    });
  });

  it("finds apps by name, and their triggers on all pages", async () => {
    await using one = await reading();
    const app = await one.api.app({ name: "shop" });
    const fn = await one.api.fn(app.id);
    const made: string[] = [];
    for (let n = 100; n < 205; n++) {
      const source = `/t${n}`;
      const trigger = { name: `t${n}`, app_id: app.id, fn_id: fn.id, type: "http", source, annotations: { n } };
      made.push(String((await one.api.get("POST", "/v2/triggers", trigger))["id"]));
    }

    assert.equal((await one.lookup.appByName("shop", signal))?.id, app.id);
    assert.equal(await one.lookup.appByName("sho", signal), undefined);
    const triggers = await one.lookup.triggersOf(app.id, signal);
    assert.deepEqual(
      triggers.map(({ id }) => id),
      made,
    );
    assert.deepEqual(
      triggers[3],
      (({ createdMs: _c, updatedMs: _u, ...rest }) => rest)(await stored(one.api.store, made[3])),
    );
    assert.equal(await one.lookup.triggersOf(app.id, signal), triggers);
    assert.deepEqual(await one.lookup.triggersOf("nobody", signal), []);
  });
});

async function stored(store: Awaited<ReturnType<typeof apiForTests>>["store"], id = "") {
  const found = await store.triggers.get(id);
  assert.ok(found !== undefined);
  return found;
}
