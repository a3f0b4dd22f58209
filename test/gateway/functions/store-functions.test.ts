import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createLog } from "../../../core/log.ts";
import { applyDeclared } from "../../../gateway/functions/apply-declared.ts";
import { parseFunctions } from "../../../gateway/functions/functions-yaml.ts";
import { storeFunctions } from "../../../gateway/functions/store-functions.ts";
import type { Store, StoredFn } from "../../../gateway/store/store.ts";
import { eventually } from "../../../kiln/testing/eventually.ts";
import { databaseKinds, newApp, newFn, sqliteFile } from "../../../kiln/testing/store-for-tests.ts";

const signal = new AbortController().signal;
const image = (name: string) => (current: StoredFn) => ({ ...current, image: name });

/** A store that counts how often functions are read, and fails where it is told to. */
async function watched(maxEntries = 100) {
  const database = await sqliteFile();
  const store = await database.open();
  const reads: string[] = [];
  const state = { away: false };
  const fns: Store["fns"] = {
    ...store.fns,
    get(id) {
      reads.push(id);
      return state.away ? Promise.reject(new Error("away")) : store.fns.get(id);
    },
  };
  const lines: string[] = [];
  const log = createLog({ write: (line) => void lines.push(line) });
  const lookup = storeFunctions({ ...store, fns }, { maxEntries, log });
  const app = await store.apps.insert(newApp("app"));
  const fn = await store.fns.insert(newFn(app.id, "fn"));
  return {
    store,
    lookup,
    reads,
    state,
    lines,
    app,
    fn,
    find: (id = fn.id) => lookup.find(id, signal),
    async [Symbol.asyncDispose]() {
      lookup[Symbol.dispose]();
      await store[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

describe("storeFunctions", () => {
  it("reads a function once, however many ask, and gives the same object", async () => {
    await using one = await watched();

    const found = await Promise.all([one.find(), one.find(), one.find()]);

    assert.deepEqual(found[0], { app: one.app, fn: one.fn });
    assert.equal(found[1], found[0]);
    assert.equal(await one.find(), found[0]);
    assert.deepEqual(one.reads, [one.fn.id]);
  });

  it("remembers that there is none, until there is", async () => {
    await using one = await watched();
    assert.equal(await one.find("made-later"), undefined);
    assert.equal(await one.find("made-later"), undefined);
    assert.equal(one.reads.length, 1);

    await one.store.fns.insert(newFn(one.app.id, "later", { id: "made-later" }));

    assert.equal((await one.find("made-later"))?.fn.name, "later");
  });

  it("sees a change of this gateway's at once: of the function, of its app, and that they are gone", async () => {
    await using one = await watched();
    const before = await one.find();

    await one.store.fns.update(one.fn.id, image("other"));
    assert.equal((await one.find())?.fn.image, "other");
    await one.store.apps.update(one.app.id, (app) => ({ ...app, config: { A: "1" } }));
    assert.deepEqual((await one.find())?.app.config, { A: "1" });
    await one.store.apps.delete(one.app.id);
    assert.equal(await one.find(), undefined);
    assert.equal(before?.fn.image, "fn:1", "what was given out stays as it was");
  });

  it("does not keep what was read while it changed", async () => {
    await using one = await watched();

    const racing = one.find();
    await one.store.fns.update(one.fn.id, image("other"));
    await racing;

    assert.equal((await one.find())?.fn.image, "other");
  });

  it("gives the same object after a change that was of something else", async () => {
    await using one = await watched();
    const before = await one.find();

    await one.store.apps.insert(newApp("unrelated"));
    assert.equal(await one.find(), before);
    assert.equal(one.reads.length, 1);
    await one.store.fns.update(one.fn.id, image("other"));
    await one.store.fns.update(one.fn.id, image(one.fn.image));
    assert.notEqual(await one.find(), before, "its time of update is another");
  });

  it("serves what it knows while the database is away, and fails for the rest", async () => {
    await using one = await watched();
    const known = await one.find();
    one.state.away = true;
    await one.store.fns.update(one.fn.id, image("other"));

    assert.equal(await one.find(), known);
    assert.equal(await one.find(), known);
    await assert.rejects(one.find("unknown"), { message: "away" });
    assert.equal(one.lines.filter((line) => line.includes("away")).length, 1, "it is told once");

    one.state.away = false;
    assert.equal((await one.find())?.fn.image, "other");
  });

  it("forgets the longest unread over its bound", async () => {
    await using one = await watched(3);

    for (const id of ["a", "b", "c", "d", "a", "d"]) await one.find(id);

    assert.deepEqual(one.reads, ["a", "b", "c", "d", "a"]);
  });
});

for (const { name, skip, create } of await databaseKinds()) {
  it(`a function is seen by another gateway on ${name} within a second of every change`, { skip }, async () => {
    await using database = await create();
    await using ours = await database.open();
    await using theirs = await database.open();
    using lookup = storeFunctions(theirs, { maxEntries: 10 });
    const app = await ours.apps.insert(newApp("app"));
    assert.equal(await lookup.find("x", signal), undefined);
    const within = async (work: Promise<unknown>, check: () => Promise<void>) => {
      await work;
      const at = performance.now();
      await eventually(check);
      assert.ok(performance.now() - at < 1_000);
    };
    const has = async (expected: string | undefined) =>
      assert.equal((await lookup.find("x", signal))?.fn.image, expected);

    await within(ours.fns.insert(newFn(app.id, "x", { id: "x" })), () => has("x:1"));
    await within(ours.fns.update("x", image("two")), () => has("two"));
    await within(ours.fns.delete("x"), () => has(undefined));
  });
}

describe("applyDeclared", () => {
  const declared = (text: string) => parseFunctions(text, "functions.yaml");

  it("creates what is not there, and makes what is as it is declared", async () => {
    await using one = await watched();
    const first = "apps: [{ name: app, config: { A: '1' }, fns: [{ id: f, name: f, image: one, concurrency: 3 }] }]";
    const second = "apps: [{ name: app, fns: [{ id: f, name: g, image: two }, { id: h, name: h, image: h }] }]";

    await applyDeclared(one.store, declared(first));
    const created = await one.find("f");
    await applyDeclared(one.store, declared(first));
    assert.equal(await one.find("f"), created, "nothing changed");
    await applyDeclared(one.store, declared(second));

    assert.equal(created?.app.id, one.app.id, "an app of the name stays what it is");
    assert.deepEqual([created?.app.config, created?.fn.concurrency], [{ A: "1" }, 3]);
    assert.deepEqual(created?.fn.annotations, { "kiln/concurrency": 3 }, "for the API, which reads them there");
    const changed = await one.find("f");
    assert.deepEqual(
      [changed?.fn.name, changed?.fn.image, changed?.fn.concurrency, changed?.app.config],
      ["g", "two", 1, {}],
    );
    assert.equal((await one.find("h"))?.fn.image, "h");
    assert.ok((await one.find()) !== undefined, "what is not declared stays");
  });

  it("says which function cannot be put there", async () => {
    await using one = await watched();
    const text = `apps: [{ name: other, fns: [{ id: ${one.fn.id}, name: f, image: i }] }]`;

    await assert.rejects(
      applyDeclared(one.store, declared(text)),
      /Cannot put other\/f into the database: the id ".*" is/,
    );
  });
});
