import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";

import type { Store, StoreChange, StoredFn } from "../../../gateway/store/store.ts";
import { eventually } from "../../../kiln/testing/eventually.ts";
import { databaseKinds, newApp, newFn, newTrigger } from "../../../kiln/testing/store-for-tests.ts";

const PAGE = { limit: 100 };

for (const { name, skip, create } of await databaseKinds()) {
  describe(`the store on ${name}`, { skip }, () => {
    /** One store on a new database. */
    async function opened() {
      const database = await create();
      const store = await database.open();
      return {
        store,
        database,
        async [Symbol.asyncDispose]() {
          await store[Symbol.asyncDispose]();
          await database[Symbol.asyncDispose]();
        },
      };
    }

    async function withFn(store: Store, fn: Partial<StoredFn> = {}) {
      const app = await store.apps.insert(newApp("app"));
      return { app, fn: await store.fns.insert(newFn(app.id, "fn", fn)) };
    }

    describe("apps", () => {
      it("gives a new app an id and the time", async () => {
        await using one = await opened();
        const before = Date.now();

        const app = await one.store.apps.insert(newApp("a", { config: { A: "1" }, annotations: { x: [1, null] } }));

        assert.match(app.id, /^[0-9A-HJKMNP-TV-Z]{26}$/);
        assert.ok(app.createdMs >= before && app.createdMs <= Date.now());
        assert.equal(app.updatedMs, app.createdMs);
        assert.deepEqual(await one.store.apps.get(app.id), app);
      });

      it("keeps an id that is given, for what comes from another server", async () => {
        await using one = await opened();

        const app = await one.store.apps.insert(newApp("a", { id: "01ABC" }));

        assert.equal(app.id, "01ABC");
        await assert.rejects(one.store.apps.insert(newApp("b", { id: "01ABC" })), { code: "already_exists" });
      });

      it("refuses a name that is taken", async () => {
        await using one = await opened();
        await one.store.apps.insert(newApp("a"));

        await assert.rejects(one.store.apps.insert(newApp("a")), {
          code: "already_exists",
          message: 'App "a" already exists',
        });
      });

      it("takes one of two that are made with a name at the same moment", async () => {
        await using one = await opened();

        const both = await Promise.allSettled([one.store.apps.insert(newApp("a")), one.store.apps.insert(newApp("a"))]);

        assert.deepEqual(both.map(({ status }) => status).toSorted(), ["fulfilled", "rejected"]);
        assert.equal((await one.store.apps.list({}, PAGE)).length, 1);
      });

      it("moves the time of an update with a change, and only then", async () => {
        await using one = await opened();
        const app = await one.store.apps.insert(newApp("a"));

        const changed = await one.store.apps.update(app.id, (current) => ({ ...current, config: { A: "1" } }));
        const same = await one.store.apps.update(app.id, (current) => ({ ...current, config: { A: "1" } }));

        assert.ok(changed.updatedMs > app.updatedMs);
        assert.equal(changed.createdMs, app.createdMs);
        assert.deepEqual(same, changed);
        assert.deepEqual(await one.store.apps.get(app.id), changed);
      });

      it("leaves everything as it is when a change throws", async () => {
        await using one = await opened();
        const app = await one.store.apps.insert(newApp("a"));

        const refused = one.store.apps.update(app.id, () => {
          throw new Error("no");
        });

        await assert.rejects(refused, { message: "no" });
        assert.deepEqual(await one.store.apps.get(app.id), app);
      });

      it("loses no change of many at the same time", async () => {
        await using one = await opened();
        await using other = await one.database.open();
        const app = await one.store.apps.insert(newApp("a"));

        await Promise.all(
          Array.from({ length: 20 }, (_, i) =>
            (i % 2 === 0 ? one.store : other).apps.update(app.id, (current) => ({
              ...current,
              config: { ...current.config, [`K${i}`]: "1" },
            })),
          ),
        );

        assert.equal(Object.keys((await one.store.apps.get(app.id))?.config ?? {}).length, 20);
      });

      it("lists by name in the order of bytes, page after page", async () => {
        await using one = await opened();
        assert.deepEqual(await one.store.apps.list({}, PAGE), []);
        for (const app of ["b", "a", "Z", "ä", "a-b", "a_b"]) await one.store.apps.insert(newApp(app));

        const names = async (after?: string, limit = 100) =>
          (await one.store.apps.list({}, { after: after === undefined ? undefined : { name: after }, limit })).map(
            (app) => app.name,
          );

        assert.deepEqual(await names(), ["Z", "a", "a-b", "a_b", "b", "ä"]);
        assert.deepEqual(await names("a", 2), ["a-b", "a_b"]);
        await one.store.apps.insert(newApp("a-a"));
        assert.deepEqual(await names("a", 2), ["a-a", "a-b"]);
        assert.deepEqual(await names("ä"), []);
        assert.deepEqual((await one.store.apps.list({ name: "b" }, PAGE)).length, 1);
      });

      it("removes an app with all that is in it", async () => {
        await using one = await opened();
        const { app, fn } = await withFn(one.store);
        const trigger = await one.store.triggers.insert(newTrigger(fn, "t"));

        await one.store.apps.delete(app.id);

        assert.equal(await one.store.apps.get(app.id), undefined);
        assert.equal(await one.store.fns.get(fn.id), undefined);
        assert.equal(await one.store.triggers.get(trigger.id), undefined);
        await assert.rejects(one.store.apps.delete(app.id), { code: "app_not_found" });
        await assert.rejects(
          one.store.apps.update(app.id, (current) => current),
          { code: "app_not_found" },
        );
      });

      it("spares an app whose check throws", async () => {
        await using one = await opened();
        const { app } = await withFn(one.store);

        const refused = one.store.apps.delete(app.id, () => {
          throw new Error("no");
        });

        await assert.rejects(refused, { message: "no" });
        assert.ok((await one.store.apps.get(app.id)) !== undefined);
      });

      it("knows nothing of an id that no database could hold", async () => {
        await using one = await opened();

        for (const id of ["", "\0", "a\0b", "\ud800", "x".repeat(100_000), "' or 1 = 1 --"]) {
          assert.equal(await one.store.apps.get(id), undefined);
          assert.deepEqual(await one.store.apps.list({ name: id }, PAGE), []);
          await assert.rejects(one.store.apps.delete(id), { code: "app_not_found" });
        }
      });
    });

    describe("functions", () => {
      it("keeps every setting", async () => {
        await using one = await opened();
        const settings = {
          memoryMiB: 1,
          cpuMillis: 2,
          tmpfsMiB: 3,
          timeoutMs: 4,
          idleTimeoutMs: 5,
          config: { A: "\0\n'\"" },
          annotations: { "kiln/x": { deep: ["\ud800", 1.5, true] } },
          onCancel: "finish",
          idempotent: true,
          shape: "GENERIC_ARM",
        } as const;

        const { fn } = await withFn(one.store, settings);

        assert.deepEqual(await one.store.fns.get(fn.id), fn);
        for (const [key, value] of Object.entries(settings)) assert.deepEqual(fn[key as keyof typeof fn], value);
      });

      it("needs its app", async () => {
        await using one = await opened();

        await assert.rejects(one.store.fns.insert(newFn("nowhere", "f")), { code: "app_not_found" });
      });

      it("has a name that is its own in its app, and only there", async () => {
        await using one = await opened();
        const { app } = await withFn(one.store);
        const other = await one.store.apps.insert(newApp("other"));

        await one.store.fns.insert(newFn(other.id, "fn"));
        await assert.rejects(one.store.fns.insert(newFn(app.id, "fn")), { code: "already_exists" });
      });

      it("lists those of an app", async () => {
        await using one = await opened();
        const { app } = await withFn(one.store);
        await one.store.fns.insert(newFn(app.id, "a"));

        const names = (await one.store.fns.list({ appId: app.id }, PAGE)).map((fn) => fn.name);

        assert.deepEqual(names, ["a", "fn"]);
        assert.equal((await one.store.fns.list({ appId: app.id, name: "a" }, PAGE)).length, 1);
        assert.deepEqual(await one.store.fns.list({ appId: "nowhere" }, PAGE), []);
      });

      it("takes its triggers along", async () => {
        await using one = await opened();
        const { fn } = await withFn(one.store);
        const trigger = await one.store.triggers.insert(newTrigger(fn, "t"));

        await one.store.fns.delete(fn.id);

        assert.equal(await one.store.triggers.get(trigger.id), undefined);
      });
    });

    describe("triggers", () => {
      it("needs app and function, and one of the other", async () => {
        await using one = await opened();
        const { fn } = await withFn(one.store);
        const other = await one.store.apps.insert(newApp("other"));

        const refused = (change: object, code: string) =>
          assert.rejects(one.store.triggers.insert(newTrigger(fn, "t", change)), { code: code });

        await refused({ appId: "nowhere" }, "app_not_found");
        await refused({ fnId: "nowhere" }, "fn_not_found");
        await refused({ appId: other.id }, "invalid_field");
      });

      it("refuses a source and a name that are taken, when it is made and when it is changed", async () => {
        await using one = await opened();
        const { fn } = await withFn(one.store);
        const second = await one.store.fns.insert(newFn(fn.appId, "second"));
        await one.store.triggers.insert(newTrigger(fn, "t"));
        const other = await one.store.triggers.insert(newTrigger(second, "t", { source: "/other" }));

        await assert.rejects(one.store.triggers.insert(newTrigger(fn, "u", { source: "/t" })), {
          code: "already_exists",
          message: 'Source "/t" is taken by another trigger',
        });
        await assert.rejects(one.store.triggers.insert(newTrigger(fn, "t", { source: "/x" })), {
          code: "already_exists",
          message: 'Trigger "t" already exists for this function',
        });
        for (const [change, code] of [
          [{ source: "/t" }, "already_exists"],
          [{ fnId: fn.id }, "already_exists"],
          [{ fnId: "nowhere" }, "fn_not_found"],
        ] as const) {
          await assert.rejects(
            one.store.triggers.update(other.id, (current) => ({ ...current, ...change })),
            { code: code },
          );
        }
        const renamed = await one.store.triggers.update(other.id, (current) => ({ ...current, name: "v" }));
        assert.equal(renamed.name, "v");
      });

      it("is found by its exact source", async () => {
        await using one = await opened();
        const { fn, app } = await withFn(one.store);
        const trigger = await one.store.triggers.insert(newTrigger(fn, "t", { source: "/a/b" }));

        assert.deepEqual(await one.store.triggers.bySource(app.id, "http", "/a/b"), trigger);
        for (const source of ["/a", "/a/b/", "/A/b", "", "\0"]) {
          assert.equal(await one.store.triggers.bySource(app.id, "http", source), undefined);
        }
      });

      it("pages over equal names without leaving one out", async () => {
        await using one = await opened();
        const { fn, app } = await withFn(one.store);
        const second = await one.store.fns.insert(newFn(app.id, "second"));
        for (const each of [fn, second]) {
          await one.store.triggers.insert(newTrigger(each, "t", { source: `/${each.name}` }));
          await one.store.triggers.insert(newTrigger(each, "u", { source: `/u/${each.name}` }));
        }
        const seen: string[] = [];

        let after: { name: string; id: string } | undefined;
        for (;;) {
          const [next] = await one.store.triggers.list({ appId: app.id }, { after, limit: 1 });
          if (next === undefined) break;
          seen.push(next.source);
          after = { name: next.name, id: next.id };
        }

        assert.deepEqual(seen.toSorted(), ["/fn", "/second", "/u/fn", "/u/second"]);
        assert.equal((await one.store.triggers.list({ appId: app.id, fnId: fn.id }, PAGE)).length, 2);
        assert.equal((await one.store.triggers.list({ appId: app.id, fnId: fn.id, name: "t" }, PAGE)).length, 1);
      });
    });

    it("tells of its own changes before it answers, and of another's within a second", async () => {
      await using one = await opened();
      await using other = await one.database.open();
      await sleep(300);
      const own: StoreChange[] = [];
      const others: StoreChange[] = [];
      one.store.onChange((change) => own.push(change));
      const end = other.onChange((change) => others.push(change));

      const { app, fn } = await withFn(one.store);
      const at = performance.now();
      for (const change of [
        { kind: "app", id: app.id, appId: app.id },
        { kind: "fn", id: fn.id, appId: app.id },
      ]) {
        assert.ok(own.some((one) => isDeepStrictEqual(one, change)));
      }
      const told = () => others.some((change) => change.kind === "all" || change.id === fn.id);
      await eventually(() => assert.ok(told()));

      assert.ok(performance.now() - at < 1_000);
      end();
      const before = others.length;
      await one.store.fns.delete(fn.id);
      await sleep(400);
      assert.equal(others.length, before);
    });

    it("still has everything when it is opened again", async () => {
      await using database = await create();
      const store = await database.open();
      const { fn } = await withFn(store);

      await store[Symbol.asyncDispose]();
      await using again = await database.open();

      assert.deepEqual(await again.fns.get(fn.id), fn);
    });

    it("lets several gateways make the schema at the same time", async () => {
      await using database = await create();

      const stores = await Promise.all(Array.from({ length: 4 }, () => database.open()));

      for (const store of stores) {
        assert.deepEqual(await store.apps.list({}, PAGE), []);
        await store[Symbol.asyncDispose]();
      }
    });
  });
}
