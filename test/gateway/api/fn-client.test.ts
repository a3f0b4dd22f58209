import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { apiForTests, type Answer, type ApiForTests } from "../../../kiln/testing/api-for-tests.ts";

/**
 * The requests of Fn's command line client, command by command, as its sources write them: it looks everything up by
 * name first, sends JSON with the times of the year 1, and writes back all that it read, without fields it does not know.
 */
const ZERO_TIME = "0001-01-01T00:00:00.000Z";
const HEADERS = { accept: "application/json", "content-type": "application/json", "user-agent": "Go-http-client/1.1" };

describe("what Fn's command line client sends", () => {
  let api: ApiForTests;
  before(async () => {
    api = await apiForTests();
  });
  after(() => api[Symbol.asyncDispose]());

  const ask = (method: string, path: string, body?: Answer) => api.get(method, `/v2${path}`, body, HEADERS);
  const only = async (path: string): Promise<Record<string, unknown> & { id: string; annotations: Answer }> => {
    const { items } = (await ask("GET", path)) as unknown as { items: never[] };
    assert.equal(items.length, 1);
    return known(items[0] ?? {});
  };
  const appNamed = (name: string) => only(`/apps?name=${name}`);
  const fnNamed = async (app: string, name: string) => only(`/fns?app_id=${(await appNamed(app)).id}&name=${name}`);
  const triggerNamed = async (app: string, fn: string, name: string) => {
    const { id, app_id } = await fnNamed(app, fn);
    return only(`/triggers?app_id=${String(app_id)}&fn_id=${id}&name=${name}`);
  };

  it("fn create app --annotation, and again", async () => {
    const body = { annotations: { owner: { team: "a" } }, created_at: ZERO_TIME, name: "myapp", updated_at: ZERO_TIME };

    assert.equal((await ask("POST", "/apps", body))["name"], "myapp");
    assert.equal((await api.fails(409, "POST", "/v2/apps", body)).message, 'App "myapp" already exists');
  });

  it("fn config app, fn get config, fn unset config", async () => {
    const app = await appNamed("myapp");

    await ask("PUT", `/apps/${app.id}`, { ...app, config: { KEY: "value", OTHER: "2" } });
    assert.deepEqual((await appNamed("myapp"))["config"], { KEY: "value", OTHER: "2" });
    await ask("PUT", `/apps/${app.id}`, { ...app, config: { KEY: "" } });
    assert.deepEqual((await appNamed("myapp"))["config"], { OTHER: "2" });
  });

  it("fn update app --syslog-url", async () => {
    const app = await appNamed("myapp");

    await ask("PUT", `/apps/${app.id}`, { ...app, syslog_url: "tcp://logs:514" });

    assert.equal((await appNamed("myapp"))["syslog_url"], "tcp://logs:514");
  });

  it("fn create function, and deploy over it", async () => {
    const { id } = await appNamed("myapp");
    const body = {
      app_id: id,
      config: {},
      created_at: ZERO_TIME,
      format: "http-stream",
      idle_timeout: 30,
      image: "me/hello:0.0.1",
      name: "hello",
      updated_at: ZERO_TIME,
    };
    await ask("POST", "/fns", body);
    const fn = await fnNamed("myapp", "hello");

    // A deploy sends a function of its own making, with what func.yaml says.
    await ask("PUT", `/fns/${fn.id}`, {
      created_at: ZERO_TIME,
      image: "me/hello:0.0.2",
      memory: 256,
      updated_at: ZERO_TIME,
    });

    const deployed = await fnNamed("myapp", "hello");
    assert.deepEqual([deployed["image"], deployed["memory"], deployed["timeout"]], ["me/hello:0.0.2", 256, 30]);
  });

  it("fn update function with a Kiln setting as annotation, fn config function, fn unset config function", async () => {
    const fn = await fnNamed("myapp", "hello");

    await ask("PUT", `/fns/${fn.id}`, { ...fn, annotations: { "kiln/concurrency": 4 }, timeout: 60 });
    const updated = await fnNamed("myapp", "hello");
    await ask("PUT", `/fns/${fn.id}`, { ...updated, config: { KEY: "value" } });
    const configured = await fnNamed("myapp", "hello");
    await ask("PUT", `/fns/${fn.id}`, { ...configured, config: { KEY: "" } });

    assert.equal((await api.store.fns.get(fn.id))?.concurrency, 4);
    assert.deepEqual([configured["config"], configured["timeout"]], [{ KEY: "value" }, 60]);
    assert.deepEqual((await fnNamed("myapp", "hello"))["config"], {});
  });

  it("fn inspect function, and fn invoke's address", async () => {
    const fn = await fnNamed("myapp", "hello");

    assert.equal(fn.annotations["fnproject.io/fn/invokeEndpoint"], `http://localhost/invoke/${fn.id}`);
  });

  it("fn create trigger, fn list triggers, fn update trigger, fn delete trigger", async () => {
    const fn = await fnNamed("myapp", "hello");
    const body = {
      app_id: fn["app_id"],
      created_at: ZERO_TIME,
      fn_id: fn.id,
      name: "hello-trigger",
      source: "/hello",
      type: "http",
      updated_at: ZERO_TIME,
    };
    await ask("POST", "/triggers", body);

    const trigger = await triggerNamed("myapp", "hello", "hello-trigger");
    assert.equal(trigger.annotations["fnproject.io/trigger/httpEndpoint"], "http://localhost/t/myapp/hello");
    await ask("PUT", `/triggers/${trigger.id}`, { ...trigger, annotations: { a: "b" } });
    assert.equal((await triggerNamed("myapp", "hello", "hello-trigger")).annotations["a"], "b");
    assert.equal((await api.send("DELETE", `/v2/triggers/${trigger.id}`, undefined, HEADERS)).status, 204);
  });

  it("fn list apps, over several pages", async () => {
    for (let i = 0; i < 5; i++) await api.app();
    const seen: unknown[] = [];

    for (let cursor = ""; ;) {
      const page = await ask("GET", `/apps?per_page=2${cursor && `&cursor=${cursor}`}`);
      seen.push(...(page["items"] as unknown[]));
      // Go reads an absent cursor as an empty one.
      cursor = (page["next_cursor"] as string | undefined) ?? "";
      if (cursor === "") break;
    }

    assert.equal(seen.length, 6);
  });

  it("fn delete function, fn delete app", async () => {
    const { id } = await fnNamed("myapp", "hello");
    const app = await appNamed("myapp");

    assert.equal((await api.send("DELETE", `/v2/fns/${id}`, undefined, HEADERS)).status, 204);
    assert.equal((await api.send("DELETE", `/v2/apps/${app.id}`, undefined, HEADERS)).status, 204);
    assert.deepEqual((await ask("GET", "/apps?name=myapp"))["items"], []);
  });
});

/** What Go's structures keep of an answer, and so send back. */
function known<T extends object>(entity: T): T & { id: string; annotations: Answer } {
  const fields =
    "annotations app_id config created_at fn_id id idle_timeout image memory name source syslog_url timeout type updated_at";
  const kept = Object.entries(entity).filter(([name]) => fields.split(" ").includes(name));
  return Object.fromEntries(kept) as T & { id: string; annotations: Answer };
}
