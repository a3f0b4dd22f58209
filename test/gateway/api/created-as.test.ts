import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { apiForTests } from "../../../kiln/testing/api-for-tests.ts";

const NONE = { "if-none-match": "*" };

describe("a PUT where there must be nothing yet", () => {
  it("creates an app, a function and a trigger of the ids that are asked for", async () => {
    await using api = await apiForTests();
    const fn = { app_id: "01GXAPP", name: "f", image: "i", concurrency: 2 };
    const trigger = { app_id: "01GXAPP", fn_id: "01GXFN", name: "t", type: "http", source: "/t" };

    const app = await api.get("PUT", "/v2/apps/01GXAPP", { id: "01GXAPP", name: "a" }, NONE);
    await api.get("PUT", "/v2/fns/01GXFN", fn, NONE);
    await api.get("PUT", "/v2/triggers/01GXTRIGGER", trigger, NONE);

    assert.equal(app["id"], "01GXAPP");
    assert.deepEqual((await api.get("GET", "/v2/apps/01GXAPP"))["name"], "a");
    assert.equal((await api.store.fns.get("01GXFN"))?.concurrency, 2);
    assert.equal((await api.store.triggers.get("01GXTRIGGER"))?.source, "/t");
  });

  it("refuses one that is there, a name that is taken, a bad id, and what a POST would refuse", async () => {
    await using api = await apiForTests();
    const app = await api.app({ name: "a" });
    const put = (id: string, body: object) => api.send("PUT", `/v2/apps/${id}`, body, NONE);

    assert.equal((await put(app.id, { name: "b" })).status, 412);
    assert.equal((await put("other", { name: "a" })).status, 409);
    assert.equal((await put("-", { name: "b" })).status, 400);
    assert.equal((await put("other", {})).status, 400);
    assert.equal((await put("other", { id: "another", name: "b" })).status, 400);
    assert.deepEqual(
      (await api.store.apps.list({}, { limit: 9 })).map(({ name }) => name),
      ["a"],
    );
  });

  it("is no part of what Fn's clients send: without the header there is a 404, and a POST still takes no id", async () => {
    await using api = await apiForTests();
    await api.fails(404, "PUT", "/v2/apps/none", { name: "a" });
    await api.fails(400, "POST", "/v2/apps", { id: "none", name: "a" });
    assert.equal((await api.send("PATCH", "/v2/apps/none", { name: "a" }, NONE)).status, 404);
  });
});
