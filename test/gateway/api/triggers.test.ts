import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { apiForTests, type Answer, type ApiForTests } from "../../../kiln/testing/api-for-tests.ts";
import { databaseKinds } from "../../../kiln/testing/store-for-tests.ts";

const setting = (name: string, value: unknown) => ({ annotations: { [`kiln/${name}`]: value } });
const ENDPOINT = "fnproject.io/trigger/httpEndpoint";

for (const { name: database, skip, create } of await databaseKinds()) {
  describe(`/v2/triggers on ${database}`, { skip }, () => {
    let api: ApiForTests;
    before(async () => {
      api = await apiForTests({}, create);
    });
    after(() => api[Symbol.asyncDispose]());

    /** An app with a function, and what it takes to make a trigger for it. */
    async function target() {
      const app = await api.app();
      const fn = await api.fn(app.id);
      const body = { name: "t", app_id: app.id, fn_id: fn.id, type: "http", source: "/t" };
      const make = async (change: Answer = {}) =>
        (await api.get("POST", "/v2/triggers", { ...body, ...change })) as Answer & { readonly id: string };
      return { app, fn, body, make };
    }

    it("creates a trigger with all its fields and where it is called", async () => {
      const { app, body, make } = await target();

      // The times are those of Go's clients, which cannot leave them out.
      const zero = "0001-01-01T00:00:00.000Z";
      const { id, created_at, updated_at, ...rest } = await make({ created_at: zero, updated_at: zero });

      assert.equal(updated_at, created_at);
      assert.deepEqual(rest, { ...body, annotations: { [ENDPOINT]: `http://localhost/t/${app.name}/t` } });
      assert.deepEqual(await api.get("GET", `/v2/triggers/${id}`), { id, ...rest, created_at, updated_at });
      assert.equal((await api.fails(409, "POST", "/v2/triggers", body)).code, "already_exists");
    });

    for (const [what, change, status, code, message] of [
      ["an id", { id: "x" }, 400, "id_provided", /ID/],
      ["a creation time", { created_at: "2020-01-01T00:00:00Z" }, 400, "invalid_field", /created_at is "2020/],
      ["an update time", { updated_at: "2020-01-01T00:00:00Z" }, 400, "invalid_field", /updated_at is "2020/],
      ["no app_id", { app_id: "" }, 400, "missing_field", /^Missing field: app_id$/],
      ["no name", { name: "" }, 400, "missing_field", /^Missing field: name$/],
      ["a name with a dot", { name: "a.b" }, 400, "invalid_field", /name is "a.b"/],
      ["a long name", { name: "a".repeat(256) }, 400, "invalid_field", /255 bytes/],
      ["no fn_id", { fn_id: "" }, 400, "missing_field", /^Missing field: fn_id$/],
      ["no type", { type: "" }, 400, "missing_field", /^Missing field: type$/],
      ["an unknown type", { type: "blah" }, 400, "invalid_field", /type is "blah", expected http/],
      ["no source", { source: "" }, 400, "missing_field", /^Missing field: source$/],
      ["a source without a slash", { source: "t" }, 400, "invalid_field", /source is "t", expected a path/],
      ["a source over 1024 bytes", { source: `/${"t".repeat(1_024)}` }, 400, "invalid_field", /1024 bytes/],
      ["an empty annotation", { annotations: { a: "" } }, 400, "invalid_field", /annotations\.a/],
      ["a setting it does not know", { annotations: { "kiln/metods": "GET" } }, 400, "invalid_field", /kiln\/methods/],
      ["a path with a pattern in it", setting("path", "/a/:id{(a+)+}"), 400, "invalid_field", /without regular expr/],
      ["a path without a slash", setting("path", "a"), 400, "invalid_field", /annotations kiln\/path is "a"/],
      ["a rest that is not last", setting("path", "/*/a"), 400, "invalid_field", /a path such as/],
      ["a parameter that comes twice", setting("path", "/:id/:ID"), 400, "invalid_field", /different names/],
      ["a method there is not", setting("methods", ["FETCH"]), 400, "invalid_field", /"FETCH", expected methods, of/],
      ["no methods", setting("methods", []), 400, "invalid_field", /at least one/],
      ["a host with a port", setting("hosts", "a.com:80"), 400, "invalid_field", /"a.com:80", expected a host/],
      ["an origin that is none", setting("cors", { origins: "a.com" }), 400, "invalid_field", /kiln\/cors origins 0/],
      ["cors without origins", setting("cors", {}), 400, "invalid_field", /kiln\/cors origins/],
      ["cors that is a number", setting("cors", 7), 400, "invalid_field", /true, or an object with origins/],
      [
        "credentials for everybody",
        setting("cors", { origins: "*", credentials: true }),
        400,
        "invalid_field",
        /by name where/,
      ],
      ["an invoke type there is not", setting("invoke-type", "async"), 400, "invalid_field", /sync, detached, client/],
      ["an app that is not there", { app_id: "nowhere" }, 404, "app_not_found", /App not found/],
      ["a function that is not there", { fn_id: "nowhere" }, 404, "fn_not_found", /Fn not found/],
    ] as const) {
      it(`refuses ${what} with ${status}`, async () => {
        const { body } = await target();

        const error = await api.fails(status, "POST", "/v2/triggers", { ...body, ...change });

        assert.equal(error.code, code);
        assert.match(error.message, message);
      });
    }

    it("says what is missing before it looks for what is named", async () => {
      assert.equal((await api.fails(400, "POST", "/v2/triggers", {})).message, "Missing field: app_id");
    });

    it("refuses a function of another app, a source that is taken, and a name that is", async () => {
      const { app, body, make } = await target();
      const other = await target();
      await make();

      const refused = (status: number, change: Answer) =>
        api.fails(status, "POST", "/v2/triggers", { ...body, ...change });
      assert.equal((await refused(400, { fn_id: other.fn.id })).code, "invalid_field");
      assert.match((await refused(409, { name: "u" })).message, /Source "\/t" is taken/);
      assert.match((await refused(409, { source: "/u" })).message, /Trigger "t" already exists/);
      const second = await api.fn(app.id);
      await make({ fn_id: second.id, source: "/u" });
    });

    it("changes name, source, function and annotations, and checks them as it does when it creates", async () => {
      const { app, fn, make } = await target();
      const second = await api.fn(app.id);
      const foreign = await target();
      const one = await make();
      await make({ name: "taken", source: "/taken" });
      const path = `/v2/triggers/${one.id}`;

      const changed = await api.get("PUT", path, {
        id: one.id,
        name: "u",
        source: "/u",
        fn_id: second.id,
        app_id: app.id,
        annotations: { a: 1 },
      });

      assert.deepEqual(
        [changed["name"], changed["source"], changed["fn_id"], changed["created_at"]],
        ["u", "/u", second.id, one["created_at"]],
      );
      assert.ok(String(changed["updated_at"]) > String(one["updated_at"]));
      assert.deepEqual(changed["annotations"], { a: 1, [ENDPOINT]: `http://localhost/t/${app.name}/u` });
      for (const [status, body, code] of [
        [400, { id: "other" }, "id_mismatch"],
        [400, { app_id: foreign.app.id }, "invalid_field"],
        [400, { fn_id: foreign.fn.id }, "invalid_field"],
        [404, { fn_id: "nowhere" }, "fn_not_found"],
        [400, { source: "u" }, "invalid_field"],
        [409, { source: "/taken" }, "already_exists"],
        [409, { name: "taken", fn_id: fn.id }, "already_exists"],
        [400, { name: "a.b" }, "invalid_field"],
      ] as const) {
        assert.equal((await api.fails(status, "PUT", path, body)).code, code);
      }
      assert.deepEqual(await api.get("GET", path), changed);
      assert.equal((await api.fails(409, "PATCH", path, { type: "other" })).code, "name_immutable");
    });

    it("does not store what it computes", async () => {
      const { make } = await target();
      const one = await make();

      await api.get("PUT", `/v2/triggers/${one.id}`, one);

      assert.deepEqual((await api.store.triggers.get(one.id))?.annotations, {});
    });

    it("lists those of an app, of a function, of a name, and every one however names repeat", async () => {
      const { app, fn, make } = await target();
      const second = await api.fn(app.id);
      for (let i = 0; i < 5; i++) {
        await make({ name: `t${i}`, source: `/a${i}` });
        await make({ name: `t${i}`, source: `/b${i}`, fn_id: second.id });
      }
      const list = async (query: string) => {
        const { items, next_cursor } = await api.get("GET", `/v2/triggers?app_id=${app.id}&${query}`);
        return { sources: (items as Answer[]).map(({ source }) => String(source)), next: next_cursor as string };
      };

      assert.equal((await list("")).sources.length, 10);
      assert.equal((await list(`fn_id=${fn.id}`)).sources.length, 5);
      assert.deepEqual((await list(`fn_id=${fn.id}&name=t3`)).sources, ["/a3"]);
      const seen: string[] = [];
      for (let cursor = ""; ;) {
        const page = await list(`per_page=3&cursor=${cursor}`);
        seen.push(...page.sources);
        if (page.next === undefined) break;
        cursor = page.next;
      }
      assert.equal(new Set(seen).size, 10);
      assert.equal(seen.length, 10);
      assert.equal((await api.fails(400, "GET", "/v2/triggers")).message, "Missing field: app_id");
      assert.deepEqual(await api.get("GET", "/v2/triggers?app_id=nowhere"), { items: [] });
    });

    it("is found by its exact source, as Fn's load balancers ask: slash and all", async () => {
      const { app, make } = await target();
      const { annotations: _, ...one } = await make({ source: "/a b/ä" });
      const lookup = `/v2/runner/apps/${app.id}/triggerBySource`;

      assert.deepEqual(await api.get("GET", `${lookup}/http//a%20b/%C3%A4`), one);
      for (const path of ["/http//a%20b", "/http/a%20b/%C3%A4", "/other//a%20b/%C3%A4", "/http//%FF", "/http/"]) {
        assert.equal((await api.fails(404, "GET", lookup + path)).code, "trigger_not_found");
      }
    });

    it("says where a trigger with a path is called, and checks settings when they change", async () => {
      const { app, make } = await target();
      const one = await make(setting("path", "/users/:id"));
      const url = `/v2/triggers/${one.id}`;
      const endpoint = (answer: Answer) => Reflect.get(answer["annotations"] as object, ENDPOINT);

      assert.equal(endpoint(one), `http://localhost/t/${app.name}/users/:id`);
      const { message } = await api.fails(400, "PUT", url, setting("methods", "FETCH"));
      assert.match(message, /^Invalid field: annotations kiln\/methods 0 is "FETCH", expected methods/);
      const cors = { origins: ["https://shop.example"], credentials: true };
      const changed = await api.get("PUT", url, { annotations: { "kiln/path": null, "kiln/cors": cors } });
      assert.deepEqual(changed["annotations"], { "kiln/cors": cors, [ENDPOINT]: `http://localhost/t/${app.name}/t` });
    });

    it("says when a schedule runs next, which moves with its settings alone", async () => {
      const { make } = await target();
      const schedule = { "kiln/schedule": "30 3 1 1 *", "kiln/time-zone": "Europe/Paris", "kiln/missed": "run-once" };
      const one = await make({ type: "schedule", annotations: { ...schedule, "kiln/next-run": "mine" } });
      const next = (answer: Answer) => String(Reflect.get(answer["annotations"] as object, "kiln/next-run"));
      const url = `/v2/triggers/${one.id}`;

      assert.match(next(one), /^20\d\d-01-01T02:30:00\.000Z$/);
      assert.deepEqual(one["annotations"], { ...schedule, "kiln/next-run": next(one) });
      assert.equal(next(await api.get("PUT", url, { name: "renamed" })), next(one));
      const moved = await api.get("PUT", url, { annotations: { "kiln/time-zone": "Asia/Tokyo" } });
      assert.match(next(moved), /-12-31T18:30:00\.000Z$/);
      assert.match(next(await api.get("GET", url)), /-12-31T18:30:00\.000Z$/);

      const etag = (await api.send("GET", url)).headers.get("etag") ?? "";
      const dueMs = Date.parse(next(moved));
      assert.equal(await api.store.schedules.claim(one.id, dueMs, dueMs + 1_000), true);
      assert.match(next(await api.get("GET", url)), /-12-31T18:30:01\.000Z$/);
      const upon = await api.send("PUT", url, { name: "again" }, { "if-match": etag });
      assert.equal(upon.status, 200, "a run is no change of the trigger");
      for (const [wrong, expected] of [
        [{ "kiln/schedule": "61 * * * *" }, /kiln\/schedule is "61 \* .*a cron pattern such as 0 3/],
        [{ "kiln/schedule": "* * * * * *" }, /of five parts/],
        [{ "kiln/schedule": "0 0 30 2 *" }, /expected a time that comes/],
        [{ "kiln/schedule": null }, /kiln\/schedule/],
        [{ "kiln/time-zone": "Mars/Olympus" }, /expected a time zone such as Europe\/Paris/],
        [{ "kiln/missed": "all" }, /skip, run-once/],
        [{ "kiln/path": "/a" }, /kiln\/path/],
      ] as const) {
        const { code, message } = await api.fails(400, "PUT", url, { annotations: wrong });
        assert.equal(code, "invalid_field");
        assert.match(message, expected);
      }
    });

    it("deletes with 204, and answers 404 from then on", async () => {
      const { make } = await target();
      const one = await make();

      assert.equal((await api.send("DELETE", `/v2/triggers/${one.id}`)).status, 204);

      for (const [method, body] of [["GET"], ["DELETE"], ["PUT", {}], ["PATCH", {}]] as const) {
        assert.equal((await api.fails(404, method, `/v2/triggers/${one.id}`, body)).code, "trigger_not_found");
      }
    });
  });
}
