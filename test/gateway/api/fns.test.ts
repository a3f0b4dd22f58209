import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { apiForTests, type Answer, type ApiForTests } from "../../../kiln/testing/api-for-tests.ts";
import { databaseKinds } from "../../../kiln/testing/store-for-tests.ts";

const ENDPOINT = "fnproject.io/fn/invokeEndpoint";

for (const { name: database, skip, create } of await databaseKinds()) {
  describe(`/v2/fns on ${database}`, { skip }, () => {
    let api: ApiForTests;
    let appId = "";
    before(async () => {
      api = await apiForTests({}, create);
      appId = (await api.app({ shape: "GENERIC_ARM" })).id;
    });
    after(() => api[Symbol.asyncDispose]());
    const fn = (fields: Answer = {}) => api.fn(appId, fields);

    it("creates a function with Fn's defaults and its app's shape", async () => {
      const { id, created_at, updated_at, ...rest } = await fn({ name: "defaults", shape: "GENERIC_X86" });

      assert.equal(updated_at, created_at);
      assert.deepEqual(rest, {
        name: "defaults",
        app_id: appId,
        image: "image:1",
        memory: 128,
        timeout: 30,
        idle_timeout: 30,
        config: {},
        annotations: { [ENDPOINT]: `http://localhost/invoke/${id}` },
        shape: "GENERIC_ARM",
        tmpfs_size: 0,
        cpus: 0,
        on_cancel: "kill",
        idempotent: false,
        concurrency: 1,
        max_calls: 0,
        min_containers: 0,
        max_containers: 0,
      });
    });

    it("takes every field, and what Go's clients send when they mean nothing", async () => {
      const fields = { memory: 8192, timeout: 300, idle_timeout: 3600, config: { A: "" }, tmpfs_size: 5, cpus: "500m" };

      const one = await fn(fields);
      const zeroes = await fn({
        id: "",
        memory: 0,
        timeout: 0,
        idle_timeout: 0,
        config: null,
        created_at: "0001-01-01",
      });

      for (const [name, value] of Object.entries({ ...fields, cpus: 0.5 })) assert.deepEqual(one[name], value);
      assert.deepEqual([zeroes["memory"], zeroes["timeout"], zeroes["idle_timeout"]], [128, 30, 30]);
    });

    for (const [what, change, code, message] of [
      ["an id", { id: "x" }, "id_provided", /ID/],
      ["no app_id", { app_id: undefined }, "missing_field", /^Missing field: app_id$/],
      ["no name", { name: "" }, "missing_field", /^Missing field: name$/],
      ["no image", { image: "" }, "missing_field", /^Missing field: image$/],
      ["a name of one space", { name: " " }, "invalid_field", /name is " ", expected ASCII letters/],
      ["a name with a slash", { name: "a/b" }, "invalid_field", /name is "a\/b"/],
      ["a name beyond ASCII", { name: "ä" }, "invalid_field", /name is "ä"/],
      ["a name over 255 bytes", { name: "a".repeat(256) }, "invalid_field", /expected at most 255 bytes/],
      ["an image with a space", { image: "a b" }, "invalid_field", /image is "a b"/],
      [
        "a timeout of 3601",
        { timeout: 3601 },
        "invalid_field",
        /timeout is 3601, expected an integer 1 to 300 \(seconds\)/,
      ],
      ["a negative timeout", { timeout: -1 }, "invalid_field", /timeout is -1/],
      ["a fraction of a second", { timeout: 1.5 }, "invalid_field", /timeout is 1.5, expected an integer/],
      [
        "an idle timeout of 3601",
        { idle_timeout: 3601 },
        "invalid_field",
        /idle_timeout is 3601, expected an integer 1 to 3600/,
      ],
      [
        "huge memory",
        { memory: 1e15 },
        "invalid_field",
        /memory is 1000000000000000, expected an integer 1 to 8192 \(MB\)/,
      ],
      [
        "a tmpfs larger than its memory",
        { tmpfs_size: 129 },
        "invalid_field",
        /tmpfs_size is 129, expected at most the memory of 128 MiB/,
      ],
      ["memory in words", { memory: "128" }, "invalid_field", /memory is "128"/],
      ["too many CPUs", { cpus: 2000 }, "invalid_field", /cpus is 2000, expected cores/],
      ["no concurrency", { concurrency: 0 }, "invalid_field", /concurrency is 0/],
      [
        "an unknown Kiln annotation",
        { annotations: { "kiln/cpu": 1 } },
        "invalid_field",
        /kiln\/cpu is 1, expected kiln\/cpus/,
      ],
      [
        "more containers at least than at most",
        { min_containers: 2, max_containers: 1 },
        "invalid_field",
        /min-containers/,
      ],
      ["NUL in config", { config: { A: "\0" } }, "invalid_field", /config\.A/],
    ] as const) {
      it(`refuses ${what} with 400 and says which field it is`, async () => {
        const body = { name: "refused", image: "i", app_id: appId, ...change };

        const error = await api.fails(400, "POST", "/v2/fns", body);

        assert.equal(error.code, code);
        assert.match(error.message, message);
      });
    }

    it("needs its app, and a name that is free in it", async () => {
      const { name } = await fn();

      assert.equal((await api.fails(404, "POST", "/v2/fns", { name, image: "i", app_id: "no" })).code, "app_not_found");
      assert.equal(
        (await api.fails(409, "POST", "/v2/fns", { name, image: "i", app_id: appId })).code,
        "already_exists",
      );
      await api.fn((await api.app()).id, { name });
    });

    it("merges a PUT: what is given is set, and nothing else", async () => {
      const one = await fn({ config: { A: "1", B: "2" }, annotations: { a: 1 }, timeout: 7 });

      const changed = await api.get("PUT", `/v2/fns/${one.id}`, {
        image: "image:2",
        memory: 256,
        timeout: 0,
        idle_timeout: 9,
        config: { A: "", C: "3" },
        annotations: { a: "", b: 2 },
      });

      assert.ok(String(changed["updated_at"]) > String(one["updated_at"]));
      assert.deepEqual(changed, {
        ...one,
        image: "image:2",
        memory: 256,
        idle_timeout: 9,
        config: { B: "2", C: "3" },
        annotations: { b: 2, [ENDPOINT]: `http://localhost/invoke/${one.id}` },
        updated_at: changed["updated_at"],
      });
    });

    it("passes over name and app in a PUT, as Fn does, and refuses them in a PATCH", async () => {
      const one = await fn();
      const other = await api.app();

      assert.deepEqual(await api.get("PUT", `/v2/fns/${one.id}`, { name: "other", app_id: other.id, image: "" }), one);
      for (const body of [{ name: "other" }, { app_id: other.id }, { shape: "GENERIC_X86" }]) {
        assert.equal((await api.fails(409, "PATCH", `/v2/fns/${one.id}`, body)).code, "name_immutable");
      }
      assert.deepEqual(await api.get("PATCH", `/v2/fns/${one.id}`, { name: one.name, app_id: appId }), one);
    });

    it("lets a PATCH take fields back to their defaults", async () => {
      const one = await fn({ memory: 256, timeout: 7, concurrency: 3, config: { A: "1" }, annotations: { a: 1 } });

      const changed = await api.get("PATCH", `/v2/fns/${one.id}`, {
        memory: null,
        timeout: null,
        concurrency: null,
        config: null,
      });

      assert.deepEqual(
        [changed["memory"], changed["timeout"], changed["concurrency"], changed["config"]],
        [128, 30, 1, {}],
      );
      assert.deepEqual(Object.keys(changed["annotations"] ?? {}), ["a", ENDPOINT]);
    });

    it("keeps Kiln's settings as annotations too, so that Fn's client can set them", async () => {
      const one = await fn({ concurrency: 4, annotations: { "kiln/max-calls": "10" } });
      assert.deepEqual([one["concurrency"], one["max_calls"]], [4, 10]);
      const { annotations } = one as unknown as { annotations: Answer };

      // As Fn's client does: it reads a function, changes an annotation, and writes all that it knows of.
      const path = `/v2/fns/${one.id}`;
      const byAnnotation = await api.get("PUT", path, { annotations: { ...annotations, "kiln/concurrency": 7 } });
      const byBoth = await api.get("PUT", path, { ...byAnnotation, annotations: { "kiln/concurrency": 8 } });
      const byField = await api.get("PUT", path, { ...byBoth, concurrency: 9 });
      const removed = await api.get("PUT", path, { annotations: { "kiln/concurrency": "", "kiln/max-calls": "" } });

      assert.deepEqual(
        [byAnnotation, byBoth, byField, removed].map((answer) => answer["concurrency"]),
        [7, 8, 9, 1],
      );
    });

    it("does not store what it computes, even if a client writes back what it read", async () => {
      const one = await fn();

      await api.get("PUT", `/v2/fns/${one.id}`, { ...one, annotations: { [ENDPOINT]: "http://evil" } });

      assert.deepEqual((await api.store.fns.get(one.id))?.annotations, {});
      assert.deepEqual(await api.get("GET", `/v2/fns/${one.id}`), one);
    });

    it("refuses another id with 400 and changes neither function", async () => {
      const [one, other] = [await fn(), await fn()];

      const error = await api.fails(400, "PUT", `/v2/fns/${one.id}`, { id: other.id, memory: 256 });

      assert.equal(error.code, "id_mismatch");
      assert.deepEqual(await api.get("GET", `/v2/fns/${one.id}`), one);
      assert.deepEqual(await api.get("GET", `/v2/fns/${other.id}`), other);
    });

    for (const change of [
      { memory: 9000 },
      { timeout: 301 },
      { idle_timeout: 3601 },
      { concurrency: 0 },
      { image: "a b" },
    ]) {
      it(`refuses ${JSON.stringify(change)} in a PUT too`, async () => {
        const one = await fn();

        assert.equal((await api.fails(400, "PUT", `/v2/fns/${one.id}`, change)).code, "invalid_field");
      });
    }

    it("lists the functions of an app, which has to be named", async () => {
      const app = await api.app();
      const names = ["c", "a", "b"];
      for (const name of names) await api.fn(app.id, { name });

      assert.equal((await api.fails(400, "GET", "/v2/fns")).message, "Missing field: app_id");
      const all = await api.get("GET", `/v2/fns?app_id=${app.id}`);
      const first = await api.get("GET", `/v2/fns?app_id=${app.id}&per_page=2`);
      const second = await api.get("GET", `/v2/fns?app_id=${app.id}&per_page=2&cursor=${String(first["next_cursor"])}`);
      const one = await api.get("GET", `/v2/fns?app_id=${app.id}&name=b`);

      assert.deepEqual(namesOf(all), ["a", "b", "c"]);
      assert.deepEqual(namesOf(first), ["a", "b"]);
      assert.equal(first["next_cursor"], Buffer.from("b").toString("base64url"));
      assert.deepEqual(second, { items: (all["items"] as Answer[]).slice(2) });
      assert.deepEqual(namesOf(one), ["b"]);
      assert.deepEqual(await api.get("GET", "/v2/fns?app_id=nowhere"), { items: [] });
    });

    it("shows where it is invoked: created, read, listed and changed", async () => {
      const one = await fn();
      const expected = `http://localhost/invoke/${one.id}`;
      const path = `/v2/fns/${one.id}`;
      const list = await api.get("GET", `/v2/fns?app_id=${appId}&name=${one.name}`);

      const [listed] = list["items"] as Answer[];
      for (const answer of [one, await api.get("GET", path), await api.get("PUT", path, {}), listed]) {
        assert.equal((answer?.["annotations"] as Answer | undefined)?.[ENDPOINT], expected);
      }
    });

    it("deletes with 204, and answers 404 from then on", async () => {
      const one = await fn();

      assert.equal((await api.send("DELETE", `/v2/fns/${one.id}`)).status, 204);

      for (const [method, body] of [["GET"], ["DELETE"], ["PUT", {}], ["PATCH", {}]] as const) {
        assert.equal((await api.fails(404, method, `/v2/fns/${one.id}`, body)).code, "fn_not_found");
      }
    });

    it("answers 410 for calls and logs, which Fn took out", async () => {
      for (const path of ["calls", "calls/x", "calls/x/log"]) {
        assert.equal((await api.fails(410, "GET", `/v2/fns/x/${path}`)).code, "gone");
      }
    });
  });
}

function namesOf(list: Answer): unknown[] {
  return (list["items"] as Answer[]).map((item) => item["name"]);
}
