import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { apiForTests, type ApiForTests } from "../../../kiln/testing/api-for-tests.ts";
import { databaseKinds } from "../../../kiln/testing/store-for-tests.ts";

for (const { name: database, skip, create } of await databaseKinds()) {
  describe(`/v2/apps on ${database}`, { skip }, () => {
    let api: ApiForTests;
    before(async () => {
      api = await apiForTests({}, create);
    });
    after(() => api[Symbol.asyncDispose]());

    it("creates an app and answers 200 with all of it", async () => {
      const before = Date.now();
      const fields = {
        name: "created",
        config: { A: "1" },
        annotations: { "x/y": { deep: [1, true, null] } },
        syslog_url: "tcp+tls://logs.example.com:514",
        shape: "GENERIC_ARM",
      };

      const response = await api.send("POST", "/v2/apps", fields);

      assert.equal(response.status, 200);
      assert.equal(response.headers.get("content-type"), "application/json; charset=utf-8");
      const { id, created_at, updated_at, ...rest } = (await response.json()) as Record<string, string>;
      assert.deepEqual(rest, fields);
      assert.match(id ?? "", /^[0-9A-HJKMNP-TV-Z]{26}$/);
      assert.match(created_at ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, "in UTC, with milliseconds");
      assert.ok(Date.parse(created_at ?? "") >= before);
      assert.equal(updated_at, created_at);
      assert.deepEqual(await api.get("GET", `/v2/apps/${id}`), { id, ...rest, created_at, updated_at });
    });

    it("leaves out what is empty, as Fn does", async () => {
      assert.deepEqual(Object.keys(await api.app()), ["id", "name", "created_at", "updated_at"]);
    });

    it("takes what Go's clients send when they mean nothing", async () => {
      const zero = "0001-01-01T00:00:00.000Z";

      const app = await api.get("POST", "/v2/apps", {
        id: "",
        name: "zeroes",
        config: null,
        annotations: null,
        syslog_url: null,
        shape: "",
        created_at: zero,
        updated_at: zero,
        unknown: [1],
      });

      assert.ok(Date.parse(String(app["created_at"])) > 0);
    });

    for (const [what, body, code, message] of [
      ["nothing", "", "invalid_json", /^Invalid JSON/],
      ["no object", "[]", "invalid_json", /expected an object/],
      ["half of JSON", '{"name":', "invalid_json", /^Invalid JSON/],
      ["no name", {}, "missing_field", /^Missing field: name$/],
      ["an empty name", { name: "" }, "missing_field", /^Missing field: name$/],
      ["a name that is a number", { name: 1 }, "invalid_field", /^Invalid field: name is 1, expected string$/],
      ["an id", { id: "x", name: "a" }, "id_provided", /ID/],
      ["an id, before all else", { id: "x" }, "id_provided", /ID/],
      ["a long name", { name: "a".repeat(256) }, "invalid_field", /name is "a+….*, expected at most 255 bytes$/],
      ["a name with a dot", { name: "a.b" }, "invalid_field", /name is "a.b", expected letters, digits, _ or -$/],
      [
        "a config value that is a number",
        { name: "a", config: { K: 1 } },
        "invalid_field",
        /config\.K is 1, expected a string/,
      ],
      ["an empty annotation key", { name: "a", annotations: { "": 1 } }, "invalid_field", /annotations/],
      ["an annotation key with a space", { name: "a", annotations: { "a b": 1 } }, "invalid_field", /annotations\.a b/],
      [
        "an annotation key over 128 bytes",
        { name: "a", annotations: { ["k".repeat(129)]: 1 } },
        "invalid_field",
        /128/,
      ],
      [
        "an empty annotation",
        { name: "a", annotations: { k: "" } },
        "invalid_field",
        /annotations\.k is "", expected JSON/,
      ],
      [
        "a null annotation",
        { name: "a", annotations: { k: null } },
        "invalid_field",
        /annotations\.k is null, expected JSON/,
      ],
      [
        "an annotation over 512 bytes",
        { name: "a", annotations: { k: "x".repeat(511) } },
        "invalid_field",
        /at most 512 bytes/,
      ],
      ["101 annotations", { name: "a", annotations: many(101) }, "invalid_field", /at most 100 keys/],
      [
        "a function's annotation",
        { name: "a", annotations: { "kiln/cpus": 1 } },
        "invalid_field",
        /kiln\/cpus is a function's/,
      ],
      [
        "no syslog URL",
        { name: "a", syslog_url: "yo" },
        "invalid_field",
        /syslog_url is "yo", expected a URL with one of udp/,
      ],
      ["another kind of URL", { name: "a", syslog_url: "http://a" }, "invalid_field", /syslog_url/],
      [
        "an unknown shape",
        { name: "a", shape: "ROUND" },
        "invalid_field",
        /shape is "ROUND", expected one of GENERIC_X86/,
      ],
    ] as const) {
      it(`refuses ${what} with 400 and says which field it is`, async () => {
        const error = await api.fails(400, "POST", "/v2/apps", body);

        assert.equal(error.code, code);
        assert.match(error.message, message);
        assert.equal(error.component, "client");
      });
    }

    it("takes what is just within the limits", async () => {
      await api.app({ name: "ä".repeat(127) });
      await api.app({ annotations: { ["k".repeat(128)]: "x".repeat(510), ...many(99) } });
      await api.app({ annotations: { "!#~": 1.5, b: false, o: {}, a: [] } });
    });

    it("refuses a name that is taken with 409", async () => {
      const { name } = await api.app();

      const error = await api.fails(409, "POST", "/v2/apps", { name });

      assert.equal(error.code, "already_exists");
      assert.match(error.message, new RegExp(name));
    });

    it("merges a PUT into what is there: values are set, empty and null ones taken out", async () => {
      const app = await api.app({ config: { A: "1", B: "2", C: "3" }, annotations: { a: 1, b: 2, c: 3 } });

      const changed = await api.get("PUT", `/v2/apps/${app.id}`, {
        id: app.id,
        name: app.name,
        config: { A: "", B: null, C: "4", D: "5", E: "" },
        annotations: { a: "", b: null, c: { x: 1 }, d: 4, e: "" },
      });

      assert.deepEqual(changed["config"], { C: "4", D: "5" });
      assert.deepEqual(changed["annotations"], { c: { x: 1 }, d: 4 });
      assert.ok(String(changed["updated_at"]) > String(app["updated_at"]));
      assert.equal(changed["created_at"], app["created_at"]);
    });

    it("does not move updated_at when nothing changes", async () => {
      const app = await api.app({ config: { A: "1" }, syslog_url: "udp://a:1", annotations: { a: { x: 1, y: 2 } } });

      const same = await api.get("PUT", `/v2/apps/${app.id}`, {
        syslog_url: "udp://a:1",
        config: { A: "1" },
        annotations: { a: { y: 2, x: 1 } },
      });

      assert.deepEqual(same, app);
    });

    it("keeps at most 100 annotations, whatever one change adds", async () => {
      const app = await api.app({ annotations: many(99) });

      await api.get("PUT", `/v2/apps/${app.id}`, { annotations: { one: 1 } });
      const error = await api.fails(400, "PUT", `/v2/apps/${app.id}`, { annotations: { another: 1 } });

      assert.match(error.message, /101 keys, expected at most 100/);
    });

    it("clears the syslog URL with an empty one", async () => {
      const app = await api.app({ syslog_url: "udp://a:1" });

      assert.equal("syslog_url" in (await api.get("PUT", `/v2/apps/${app.id}`, { syslog_url: "" })), false);
    });

    for (const [what, status, code, body] of [
      ["another name", 409, "name_immutable", { name: "other" }],
      ["another id", 400, "id_mismatch", { id: "other" }],
      ["no JSON", 400, "invalid_json", "name"],
      ["an empty key of config", 400, "invalid_field", { config: { "": "1" } }],
      ["a bad syslog URL", 400, "invalid_field", { syslog_url: "yo" }],
    ] as const) {
      it(`refuses a PUT of ${what} with ${status}, and changes nothing`, async () => {
        const app = await api.app();

        assert.equal((await api.fails(status, "PUT", `/v2/apps/${app.id}`, body)).code, code);

        assert.deepEqual(await api.get("GET", `/v2/apps/${app.id}`), app);
      });
    }

    it("changes nothing of another app that a body names", async () => {
      const [app, other] = [await api.app(), await api.app()];

      await api.fails(400, "PUT", `/v2/apps/${app.id}`, { id: other.id, config: { A: "1" } });

      assert.deepEqual(await api.get("GET", `/v2/apps/${other.id}`), other);
    });

    it("lets a PATCH take fields back to their defaults", async () => {
      const app = await api.app({ config: { A: "1" }, annotations: { a: 1 }, syslog_url: "udp://a:1" });

      const changed = await api.get("PATCH", `/v2/apps/${app.id}`, {
        config: null,
        annotations: null,
        syslog_url: null,
      });

      assert.deepEqual(Object.keys(changed), ["id", "name", "created_at", "updated_at"]);
      assert.equal(
        (await api.fails(409, "PATCH", `/v2/apps/${app.id}`, { shape: "GENERIC_ARM" })).code,
        "name_immutable",
      );
    });

    it("writes only over the version that If-Match names", async () => {
      const app = await api.app();
      const path = `/v2/apps/${app.id}`;
      const etag = (await api.send("GET", path)).headers.get("etag") ?? "";

      const first = await api.send("PUT", path, { config: { A: "1" } }, { "if-match": etag });
      const second = await api.send("PUT", path, { config: { A: "2" } }, { "if-match": etag });
      const gone = await api.send("DELETE", path, undefined, { "if-match": etag });

      assert.equal(first.status, 200);
      assert.notEqual(first.headers.get("etag"), etag);
      assert.equal(second.status, 412);
      assert.equal(((await second.json()) as { code: string }).code, "precondition_failed");
      assert.equal(gone.status, 412);
      assert.deepEqual((await api.get("GET", path))["config"], { A: "1" });
      const latest = first.headers.get("etag") ?? "";
      assert.equal((await api.send("GET", path, undefined, { "if-none-match": latest })).status, 304);
      const listed = { "if-match": `"other", ${latest}` };
      assert.equal((await api.send("DELETE", path, undefined, listed)).status, 204);
      assert.equal((await api.send("PUT", path, {}, { "if-match": "*" })).status, 404);
    });

    it("deletes with 204 and no body", async () => {
      const app = await api.app();

      const response = await api.send("DELETE", `/v2/apps/${app.id}`);

      assert.equal(response.status, 204);
      assert.equal(await response.text(), "");
    });

    it("answers 404 where there is no such app", async () => {
      for (const [method, body] of [["GET"], ["DELETE"], ["PUT", {}], ["PATCH", {}]] as const) {
        assert.equal((await api.fails(404, method, "/v2/apps/nowhere", body)).code, "app_not_found");
      }
    });

    it("tells which methods there are", async () => {
      assert.equal((await api.send("DELETE", "/v2/apps")).headers.get("allow"), "GET, HEAD, POST");
      assert.equal((await api.send("POST", "/v2/apps/x")).headers.get("allow"), "GET, HEAD, PUT, PATCH, DELETE");
      await api.fails(405, "PATCH", "/v2/apps");
      assert.equal((await api.send("GET", "/v2/apps/?a=b")).headers.get("location"), "/v2/apps?a=b");
    });
  });
}

describe("a list of apps", () => {
  let api: ApiForTests;
  before(async () => {
    api = await apiForTests();
    for (let i = 0; i < 120; i++) await api.app({ name: `app-${String(i).padStart(3, "0")}` });
  });
  after(() => api[Symbol.asyncDispose]());
  const list = async (query: string) => {
    const { items, ...rest } = await api.get("GET", `/v2/apps?${query}`);
    return { names: (items as { name: string }[]).map(({ name }) => name), ...rest } as {
      names: string[];
      next_cursor?: string;
    };
  };

  it("is empty, and an array, where there is none", async () => {
    await using empty = await apiForTests();

    assert.equal(await (await empty.send("GET", "/v2/apps")).text(), '{"items":[]}');
  });

  for (const [perPage, size] of [
    ["", 30],
    ["0", 30],
    ["-5", 30],
    ["many", 30],
    ["1e3", 30],
    ["7", 7],
    ["100", 100],
    ["101", 100],
    ["99999999999999999999", 30],
  ] as const) {
    it(`has ${size} for per_page=${perPage}`, async () => {
      assert.equal((await list(`per_page=${perPage}`)).names.length, size);
    });
  }

  it("goes on where a cursor points, which is the last name in base64", async () => {
    const first = await list("per_page=50");
    assert.equal(first.next_cursor, Buffer.from("app-049").toString("base64url"));
    const second = await list(`per_page=50&cursor=${first.next_cursor}`);
    const third = await list(`per_page=50&cursor=${second.next_cursor}`);

    assert.deepEqual(
      [...first.names, ...second.names, ...third.names],
      (await list("per_page=100")).names.concat(third.names),
    );
    assert.equal(third.names.length, 20);
    assert.equal(third.next_cursor, undefined);
  });

  it("has no cursor to an empty page", async () => {
    const first = await list("per_page=60");
    const second = await list(`per_page=60&cursor=${first.next_cursor}`);

    assert.equal(second.names.length, 60);
    assert.equal(second.next_cursor, undefined);
  });

  it("finds by exact name", async () => {
    assert.deepEqual((await list("name=app-007")).names, ["app-007"]);
    assert.deepEqual((await list("name=app")).names, []);
  });

  it("takes padding, as other encoders write it", async () => {
    assert.equal((await list(`per_page=1&cursor=${Buffer.from("app-0").toString("base64")}`)).names[0], "app-000");
  });

  for (const cursor of ["***", "a", "_", "%FF", "gICA", "YQ===x"]) {
    it(`refuses the cursor ${cursor} with 400`, async () => {
      assert.equal((await api.fails(400, "GET", `/v2/apps?cursor=${cursor}`)).code, "invalid_cursor");
    });
  }
});

function many(count: number): Record<string, number> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, i]));
}
