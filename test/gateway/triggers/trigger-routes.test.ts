import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { JsonValue } from "../../../core/call.ts";
import { createLog } from "../../../core/log.ts";
import { TriggerRoutes } from "../../../gateway/triggers/trigger-routes.ts";
import { triggerFor } from "../../../kiln/testing/fake-triggers.ts";

type Annotations = Readonly<Record<string, JsonValue>>;

function routesFor(triggers: Readonly<Record<string, Annotations>>) {
  const lines: string[] = [];
  const log = createLog({ write: (line) => void lines.push(line) });
  const all = Object.entries(triggers).map(([source, annotations]) => triggerFor(source, annotations));
  const routes = new TriggerRoutes(all, log);
  const match = (path: string, method = "GET", host = "any") => {
    const { trigger, params } = routes.match({ path, method, host });
    return [trigger.source, params];
  };
  return { match, lines };
}

describe("TriggerRoutes", () => {
  it("prefers the exact source, then what is most literal, however they are named", () => {
    const { match } = routesFor({
      "/1": { "kiln/path": "/*" },
      "/2": { "kiln/path": "/users/*" },
      "/3": { "kiln/path": "/users/:id" },
      "/4": { "kiln/path": "/users/:id/orders" },
      "/users/me": {},
      "/5": { "kiln/path": "/users/you" },
    });

    assert.deepEqual(match("/users/me"), ["/users/me", {}]);
    assert.deepEqual(match("/users/you"), ["/5", {}]);
    assert.deepEqual(match("/users/7"), ["/3", { id: "7" }]);
    assert.deepEqual(match("/users/7/orders"), ["/4", { id: "7" }]);
    assert.deepEqual(match("/users/7/else/deep"), ["/2", {}]);
    assert.deepEqual(match("/"), ["/1", {}]);
  });

  it("takes an exact source for what it says, pattern or not", () => {
    const { match } = routesFor({ "/:id": {}, "/*": {}, "/__proto__": {} });

    assert.deepEqual(match("/:id"), ["/:id", {}]);
    assert.deepEqual(match("/*"), ["/*", {}]);
    assert.deepEqual(match("/__proto__"), ["/__proto__", {}]);
    assert.throws(() => match("/other"), { code: "trigger_not_found" });
  });

  it("serves a trigger with a path by that alone", () => {
    const { match } = routesFor({ "/source": { "kiln/path": "/path" } });

    assert.deepEqual(match("/path"), ["/source", {}]);
    assert.throws(() => match("/source"), { code: "trigger_not_found" });
  });

  it("keeps an encoded slash in its segment, and gives parameters decoded", () => {
    const { match } = routesFor({ "/1": { "kiln/path": "/files/:name" } });

    assert.deepEqual(match("/files/a%2Fb%20c"), ["/1", { name: "a/b c" }]);
    assert.deepEqual(match("/files/:name"), ["/1", { name: ":name" }]);
    assert.deepEqual(match("/files/*"), ["/1", { name: "*" }]);
    for (const path of ["/files/a/b", "/files/", "/files", "/files/%00", "/files/%e4"]) {
      assert.throws(() => match(path), { code: "trigger_not_found" }, path);
    }
  });

  it("leaves out a parameter that may be left out", () => {
    const { match } = routesFor({ "/1": { "kiln/path": "/users/:id?" } });

    assert.deepEqual(match("/users"), ["/1", {}]);
    assert.deepEqual(match("/users/7"), ["/1", { id: "7" }]);
  });

  it("lets triggers share a path by method and by host", () => {
    const { match } = routesFor({
      "/1": { "kiln/path": "/users", "kiln/methods": "get, put" },
      "/2": { "kiln/path": "/users", "kiln/methods": ["POST"] },
      "/3": { "kiln/path": "/users", "kiln/hosts": ["*.Example.com", "shop.test"] },
    });

    assert.deepEqual(match("/users", "PUT"), ["/1", {}]);
    assert.deepEqual(match("/users", "POST"), ["/2", {}]);
    assert.throws(() => match("/users", "DELETE"), {
      code: "method_not_allowed",
      message: /takes GET, PUT, POST, HEAD, and/,
    });
    assert.deepEqual(match("/users", "DELETE", "api.example.com"), ["/3", {}]);
    assert.deepEqual(match("/users", "DELETE", "shop.test"), ["/3", {}]);
    for (const host of ["example.com", "evilexample.com", "shop.test.evil.com"]) {
      assert.throws(() => match("/users", "DELETE", host), { code: "method_not_allowed" }, host);
    }
  });

  it("does not serve a trigger whose settings it does not know, and says so", () => {
    const { match, lines } = routesFor({ "/1": { "kiln/only-from": "mars" }, "/2": {} });

    assert.throws(() => match("/1"), { code: "trigger_not_found" });
    assert.deepEqual(match("/2"), ["/2", {}]);
    assert.match(lines.join(), /not served.*id of \/1/);
  });
});
