import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";

import { listen } from "../../../gateway/listen.ts";
import { importFrom } from "../../../kiln/import/import.ts";
import { apiForTests, type Answer, type ApiForTests } from "../../../kiln/testing/api-for-tests.ts";
import { fnServer, type FnServerContent } from "../../../kiln/testing/fn-server.ts";

interface ServedApi extends AsyncDisposable {
  readonly api: ApiForTests;
  readonly url: string;
}

async function served(options: Parameters<typeof apiForTests>[0] = {}): Promise<ServedApi> {
  await using made = new AsyncDisposableStack();
  const api = made.use(await apiForTests(options));
  const fetch = (request: Request) => api.fetch(request);
  const listener = made.use(await listen({ fetch }, { host: "127.0.0.1", port: 0, drainTimeoutMs: 0 }));
  const owned = made.move();
  return { api, url: `http://${listener.address}`, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function imported(from: string, to: string, ...args: readonly string[]) {
  let output = "";
  const input = { directory: ".", env: {}, write: (text: string) => void (output += text) };
  const code = await importFrom(["--from", from, "--to", to, ...args], input);
  return { code, output, last: output.trimEnd().split("\n").at(-1) };
}

/** Everything a server has, without what it says of itself. */
async function all(api: ApiForTests): Promise<Answer> {
  const apps = await api.store.apps.list({}, { limit: 1_000 });
  const fns = await Promise.all(apps.map(({ id }) => api.store.fns.list({ appId: id }, { limit: 1_000 })));
  const triggers = await Promise.all(apps.map(({ id }) => api.store.triggers.list({ appId: id }, { limit: 1_000 })));
  const plain = (entities: readonly object[]) =>
    entities.map((entity) => ({ ...entity, createdMs: undefined, updatedMs: undefined }));
  return { apps: plain(apps), fns: plain(fns.flat()), triggers: plain(triggers.flat()) };
}

const id = (kind: string, n: number) => `01GX${kind}${String(n).padStart(22 - kind.length, "0")}`;
const APPS = [id("APP", 1), id("APP", 2)];
const FNS = [id("FN", 1), id("FN", 2), id("FN", 3)];

/** What Fn's API shows of two apps: three functions, and of triggers more than a page, some of one name. */
const CONTENT: FnServerContent = {
  apps: [
    {
      id: APPS[0],
      name: "shop",
      config: { DB: "postgres://u:secret@db" },
      syslog_url: "tcp://logs:514",
      shape: "GENERIC_X86",
    },
    { id: APPS[1], name: "empty" },
  ],
  fns: [
    {
      id: FNS[0],
      app_id: APPS[0],
      name: "cart",
      image: "cart:1",
      memory: 256,
      timeout: 60,
      idle_timeout: 10,
      config: { K: "v" },
      shape: "GENERIC_X86",
    },
    {
      id: FNS[1],
      app_id: APPS[0],
      name: "pay",
      image: "pay:1",
      memory: 128,
      timeout: 30,
      idle_timeout: 30,
      config: {},
      annotations: { "kiln/concurrency": 2, note: [1] },
    },
    {
      id: FNS[2],
      app_id: APPS[0],
      name: "ship",
      image: "ship:1",
      memory: 128,
      timeout: 30,
      idle_timeout: 30,
      config: {},
    },
  ],
  triggers: FNS.flatMap((fnId, f) =>
    Array.from({ length: 100 }, (_, n) => ({
      id: id(`TR${f}`, n),
      app_id: APPS[0],
      fn_id: fnId,
      name: `t${n}`,
      type: "http",
      source: `/${f}/${n}`,
    })),
  ),
};

describe("kiln import", () => {
  it("says what it would bring over from a server of Fn's, brings it over with its ids, and then finds it the same", async () => {
    await using fn = await fnServer(CONTENT);
    await using kiln = await served();

    const would = await imported(fn.url, kiln.url);
    assert.equal(would.code, 0);
    assert.equal(would.last, "Would create 305, update 0, leave 0 as they are. --apply does it.");
    assert.match(would.output, /^create {4}fn shop\/cart \(01GXFN0+1\)$/m);
    assert.deepEqual((await all(kiln.api))["apps"], [], "nothing was done");
    assert.ok(!would.output.includes("secret"));

    const did = await imported(fn.url, kiln.url, "--apply");
    assert.deepEqual([did.code, did.last], [0, "Created 305, updated 0, left 0 as they are."]);
    const cart = await kiln.api.store.fns.get(FNS[0] ?? "");
    assert.deepEqual(
      [
        cart?.appId,
        cart?.memoryMiB,
        cart?.timeoutMs,
        cart?.idleTimeoutMs,
        cart?.config,
        cart?.annotations,
        cart?.shape,
      ],
      [APPS[0], 256, 60_000, 10_000, { K: "v" }, {}, "GENERIC_X86"],
    );
    const pay = await kiln.api.store.fns.get(FNS[1] ?? "");
    assert.deepEqual([pay?.concurrency, pay?.annotations], [2, { "kiln/concurrency": 2, note: [1] }]);
    const app = await kiln.api.store.apps.get(APPS[0] ?? "");
    assert.deepEqual(
      [app?.name, app?.config, app?.syslogUrl, app?.shape],
      ["shop", { DB: "postgres://u:secret@db" }, "tcp://logs:514", "GENERIC_X86"],
    );
    const last = await kiln.api.store.triggers.get(id("TR2", 99));
    assert.deepEqual([last?.fnId, last?.source, last?.annotations], [FNS[2], "/2/99", {}]);

    const before = await all(kiln.api);
    const again = await imported(fn.url, kiln.url, "--apply");
    assert.deepEqual([again.code, again.output], [0, "Created 0, updated 0, left 305 as they are.\n"]);
    assert.deepEqual(await all(kiln.api), before);
    assert.ok(fn.requests.every((request) => request.startsWith("GET ")));
  });

  it("makes what differs as it is there, keys that are gone included, and leaves what is only here", async () => {
    await using one = await served();
    await using other = await served();
    const app = await one.api.app({ name: "a", config: { A: "1", B: "2" } });
    const fn = await one.api.fn(app.id, { name: "f", cpus: "500m", concurrency: 3, annotations: { note: 1 } });
    const trigger = { name: "t", app_id: app.id, fn_id: fn.id, type: "http", source: "/t" };
    const made = await one.api.get("POST", "/v2/triggers", trigger);
    assert.equal((await imported(one.url, other.url, "--apply")).code, 0);
    assert.deepEqual(await all(other.api), await all(one.api), "Kiln's own settings too");
    const mine = await other.api.app({ name: "mine" });

    await one.api.get("PATCH", `/v2/apps/${app.id}`, { config: { A: "secret", B: null } });
    await one.api.get("PATCH", `/v2/fns/${fn.id}`, { image: "image:2", cpus: null, annotations: { note: { x: 1 } } });
    await one.api.get("PATCH", `/v2/triggers/${String(made["id"])}`, { source: "/other" });
    const would = await imported(one.url, other.url);
    assert.equal(
      would.output,
      `update    app a (${app.id}): config.A, config.B
update    fn a/f (${fn.id}): image, annotations.note, annotations.kiln/cpus
update    trigger a/f/t (${String(made["id"])}): source
Would create 0, update 3, leave 0 as they are. --apply does it.
`,
    );
    assert.equal((await imported(one.url, other.url, "--apply")).code, 0);

    assert.equal((await other.api.store.apps.get(mine.id))?.name, "mine");
    await other.api.send("DELETE", `/v2/apps/${mine.id}`);
    assert.deepEqual(await all(other.api), await all(one.api));
  });

  it("says what is in conflict and why, does all else, and exits with 3", async () => {
    await using fn = await fnServer(CONTENT);
    await using kiln = await served();
    const taken = await kiln.api.app({ name: "shop" });

    const did = await imported(fn.url, kiln.url, "--apply");

    assert.equal(did.code, 3);
    const why = `its name "shop" is taken there, by id ${taken.id}`;
    assert.ok(did.output.includes(`conflict  app shop (${APPS[0]}): ${why}\n`), did.output.slice(0, 300));
    assert.ok(did.output.includes(`conflict  fn shop/cart (${FNS[0]}): what it belongs to is in conflict\n`));
    assert.equal(did.last, "Created 1, updated 0, left 0 as they are, 304 in conflict, 0 refused.");
    assert.equal((await kiln.api.store.apps.get(APPS[1] ?? ""))?.name, "empty");
  });

  it("says what this side refused, and why", async () => {
    const [first] = CONTENT.fns;
    await using fn = await fnServer({ ...CONTENT, fns: [{ ...first, memory: 1_000_000 }], triggers: [] });
    await using kiln = await served();

    const did = await imported(fn.url, kiln.url, "--apply");

    assert.equal(did.code, 3);
    assert.match(did.output, /^refused {3}fn shop\/cart \(01GXFN0+1\): Invalid field: memory is 1000000, expected/m);
  });

  it("tells when a server is away, is none, or wants a token", async () => {
    await using fn = await fnServer(CONTENT);
    await using kiln = await served({ token: "open sesame" });
    const directory = await mkdtemp(join(tmpdir(), "kiln-import-"));
    await writeFile(join(directory, "token"), "open sesame\n");

    await assert.rejects(imported("http://127.0.0.1:1", kiln.url), /The API at http:\/\/127.0.0.1:1 does not answer/);
    await assert.rejects(imported(fn.url, kiln.url), /answered 401 \(.*\): it wants another token/);
    await assert.rejects(
      imported(fn.url, kiln.url, "--token-file", "none"),
      /--token-file is ".*none", expected a readable/,
    );
    await assert.rejects(importFrom([], { directory, env: {}, write() {} }), /--from is missing/);
    const token = join(directory, "token");
    assert.equal((await imported(fn.url, kiln.url, "--token-file", token)).code, 0);
    const env = { FN_ADMIN_TOKEN_FILE: token };
    assert.equal(await importFrom(["--from", fn.url, "--to", kiln.url], { directory, env, write() {} }), 0);
    await assert.rejects(
      importFrom(["--from", kiln.url, "--to", kiln.url, "--apply"], { directory, env, write() {} }),
      /wants another token/,
    );
    await rm(directory, { recursive: true });
  });
});
