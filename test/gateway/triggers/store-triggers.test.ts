import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { Store } from "../../../gateway/store/store.ts";
import { storeTriggers } from "../../../gateway/triggers/store-triggers.ts";
import { eventually } from "../../../kiln/testing/eventually.ts";
import { databaseKinds, newApp, newFn, newTrigger } from "../../../kiln/testing/store-for-tests.ts";

const { signal } = new AbortController();

for (const { name: database, skip, create } of await databaseKinds()) {
  describe(`storeTriggers on ${database}`, { skip }, () => {
    async function watched(maxEntries = 100) {
      const file = await create();
      const store = await file.open();
      const state = { reads: 0, away: false };
      const counted = <Query extends readonly unknown[], Found>(list: (...query: Query) => Promise<Found>) => {
        return (...query: Query) => {
          state.reads++;
          return state.away ? Promise.reject(new Error("away")) : list(...query);
        };
      };
      const apps: Store["apps"] = { ...store.apps, list: counted(store.apps.list) };
      const triggers: Store["triggers"] = { ...store.triggers, list: counted(store.triggers.list) };
      const lookup = storeTriggers({ ...store, apps, triggers }, { maxEntries });
      const app = await store.apps.insert(newApp("app"));
      const fn = await store.fns.insert(newFn(app.id, "fn"));
      const trigger = await store.triggers.insert(newTrigger(fn, "one"));
      const find = async (appName = "app") => {
        const found = await lookup.appByName(appName, signal);
        return found && (await lookup.triggersOf(found.id, signal));
      };
      const sources = async () => (await find())?.map(({ source }) => source);
      /** Waits until what was changed has been heard of, so that asking twice asks the store once at most. */
      const remembered = (ask: () => Promise<unknown>) =>
        eventually(async () => {
          await ask();
          const { reads } = state;
          await ask();
          assert.equal(state.reads, reads);
        });
      const close = async () => {
        lookup[Symbol.dispose]();
        await store[Symbol.asyncDispose]();
        await file[Symbol.asyncDispose]();
      };
      return { file, store, lookup, state, app, fn, trigger, find, sources, remembered, [Symbol.asyncDispose]: close };
    }

    it("reads an app's triggers once, and again after any change of them", async () => {
      await using one = await watched();
      await one.remembered(one.find);
      assert.equal(await one.find(), await one.find());

      await one.store.triggers.insert(newTrigger(one.fn, "two"));
      assert.deepEqual(await one.sources(), ["/one", "/two"]);
      await one.store.triggers.update(one.trigger.id, (current) => ({ ...current, source: "/other" }));
      assert.deepEqual(await one.sources(), ["/other", "/two"]);
      await one.store.triggers.delete(one.trigger.id);
      assert.deepEqual(await one.sources(), ["/two"]);
      await one.store.fns.delete(one.fn.id);
      assert.deepEqual(await one.sources(), []);
      await one.store.apps.delete(one.app.id);
      assert.equal(await one.find(), undefined);
    });

    it("remembers that there is no such app, until there is", async () => {
      await using one = await watched();
      await one.remembered(() => one.find("later"));
      assert.equal(await one.find("later"), undefined);

      await one.store.apps.insert(newApp("later"));

      assert.deepEqual(await one.find("later"), []);
    });

    it("hears of another gateway's change within a second", async () => {
      await using one = await watched();
      await one.find();
      await using other = await one.file.open();

      await other.triggers.insert(newTrigger(one.fn, "two"));

      const since = performance.now();
      await eventually(async () => assert.deepEqual(await one.sources(), ["/one", "/two"]));
      assert.ok(performance.now() - since < 1_000);
    });

    it("serves what it knows while the database is away, and fails for the rest", async () => {
      await using one = await watched();
      await one.find();
      one.state.away = true;
      await one.store.triggers.insert(newTrigger(one.fn, "two"));

      assert.deepEqual(await one.sources(), ["/one"]);
      await assert.rejects(one.find("unknown"), /away/);
    });

    it("remembers as many triggers as it is told, and those of one app in any case", async () => {
      await using one = await watched(2);
      const empty = await one.store.apps.insert(newApp("empty"));
      await one.store.triggers.insert(newTrigger(one.fn, "two"));
      const heavy = () => one.lookup.triggersOf(one.app.id, signal);

      await one.remembered(heavy);
      await one.remembered(() => one.lookup.triggersOf(empty.id, signal));
      const { reads } = one.state;
      await heavy();
      assert.equal(one.state.reads, reads + 1);
    });
  });
}
