import assert from "node:assert/strict";
import { request } from "node:http";
import { describe, it } from "node:test";

import { silentLog } from "../../core/log.ts";
import { createMetrics } from "../../core/metrics.ts";
import { createAdmin } from "../../gateway/admin.ts";
import { listen } from "../../gateway/listen.ts";
import { trustedProxies } from "../../gateway/trusted-proxies.ts";
import { apiForTests } from "../../kiln/testing/api-for-tests.ts";

describe("createAdmin", () => {
  it("tells what it is, how it is, and what it counts", async () => {
    const metrics = createMetrics();
    metrics.counter("fn_calls", "Calls").add(3);
    await using api = await apiForTests({ metrics });

    assert.equal(
      await (await api.send("GET", "/")).text(),
      '{"goto":"https://github.com/fnproject/fn","hello":"world!"}',
    );
    assert.deepEqual(await api.get("GET", "/version"), { version: "1.2.3" });
    assert.deepEqual(await api.get("GET", "/livez"), { live: true });
    const response = await api.send("GET", "/metrics");
    assert.equal(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert.match(await response.text(), /^fn_calls 3$/m);
  });

  it("asks for the token, health excepted", async () => {
    await using api = await apiForTests({ token: "secret" });

    for (const [path, authorization] of [
      ["/v2/apps", undefined],
      ["/v2/apps", "Bearer wrong"],
      ["/v2/apps", "Basic secret"],
      ["/v2/apps", "secret"],
      ["/metrics", undefined],
      ["/docs", undefined],
      ["/nowhere", undefined],
    ] as const) {
      const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
      const response = await api.send("GET", path, undefined, headers);
      assert.equal(response.status, 401);
      assert.equal(response.headers.get("www-authenticate"), "Bearer");
    }
    assert.deepEqual(await api.get("GET", "/livez"), { live: true });
    assert.deepEqual(await api.get("GET", "/v2/apps", undefined, { authorization: "Bearer secret" }), { items: [] });
  });

  it("is not open to pages of other sites where there is no token", async () => {
    await using api = await apiForTests();

    for (const [url, headers] of [
      ["http://localhost/v2/apps", { origin: "http://evil.example" }],
      ["http://localhost/v2/apps", { origin: "null" }],
      ["http://rebound.example:8080/v2/apps", {}],
    ] as const) {
      const response = await api.send("POST", url, { name: "a" }, headers);
      assert.equal(response.status, 403);
    }
    assert.deepEqual(await api.get("GET", "/v2/apps"), { items: [] });
    await api.get("POST", "http://127.0.0.1:8080/v2/apps", { name: "a" }, { origin: "http://127.0.0.1:8080" });
  });

  it("takes no body over its limit, deeper than any use, slower than its time, or other than UTF-8", async () => {
    await using api = await apiForTests({ limits: { maxBytes: 2_000, timeoutMs: 100 } });

    assert.equal((await api.fails(413, "POST", "/v2/apps", { name: "x".repeat(2_000) })).code, "request_too_big");
    const deep = `{"name":"a","annotations":{"a":${"[".repeat(900)}${"]".repeat(900)}}}`;
    assert.match((await api.fails(400, "POST", "/v2/apps", deep)).message, /deeper than 64/);
    for (const [start, status, code] of [
      [Buffer.from('{"name":'), 408, "request_body_unreadable"],
      [Buffer.from([0xff, 0xfe]), 400, "invalid_json"],
    ] as const) {
      const body = new ReadableStream({
        start(controller) {
          controller.enqueue(new Uint8Array(start));
          if (status === 400) controller.close();
        },
      });
      const request = new Request("http://localhost/v2/apps", { method: "POST", body, duplex: "half" });
      const response = await api.fetch(request);
      assert.deepEqual([response.status, ((await response.json()) as { code: string }).code], [status, code]);
    }
  });

  it("says that the database is away, to the client in short and in the log in full", async () => {
    await using api = await apiForTests();
    await api.store.apps.insert({ name: "a", config: {}, annotations: {}, syslogUrl: "", shape: "" });
    const away = await apiForTests({
      store: {
        ...api.store,
        apps: { ...api.store.apps, list: () => Promise.reject(new Error("connect ECONNREFUSED 10.0.0.1")) },
      },
    });

    const error = await away.fails(500, "GET", "/v2/apps");

    assert.doesNotMatch(error.message, /ECONNREFUSED/);
    assert.match(away.lines.join("\n"), /ECONNREFUSED/);
    await away[Symbol.asyncDispose]();
  });

  it("describes itself in OpenAPI 3.1, from the schemas that it validates with", async () => {
    await using api = await apiForTests();

    const document = (await api.get("GET", "/openapi.json")) as unknown as {
      openapi: string;
      paths: Record<string, Record<string, object>>;
      components: { schemas: Record<string, { properties: Record<string, { maximum?: number }>; required: string[] }> };
    };

    assert.equal(document.openapi, "3.1.0");
    for (const path of ["/v2/apps", "/v2/fns", "/v2/triggers"]) {
      assert.deepEqual(Object.keys(document.paths[path] ?? {}), ["get", "post"]);
    }
    assert.deepEqual(Object.keys(document.paths["/v2/fns/{fn_id}"] ?? {}), ["get", "put", "patch", "delete"]);
    assert.equal(document.components.schemas["FnCreate"]?.properties["memory"]?.maximum, 8_192);
    assert.deepEqual(document.components.schemas["FnCreate"]?.required, ["app_id", "name", "image"]);
    const references = [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(
      ([, name]) => name,
    );
    for (const name of references) assert.ok(name !== undefined && name in document.components.schemas, name);
  });

  it("has a page of it that needs no script and nothing from elsewhere", async () => {
    await using api = await apiForTests();

    const response = await api.send("GET", "/docs");
    const page = await response.text();

    assert.equal(response.status, 200);
    assert.match(response.headers.get("content-type") ?? "", /^text\/html/);
    assert.match(response.headers.get("content-security-policy") ?? "", /default-src 'none'/);
    assert.doesNotMatch(page, /<script|https?:\/\/|src=|@import/);
    for (const path of ["/v2/apps", "/v2/fns/{fn_id}", "/v2/triggers"])
      assert.ok(page.includes(`<code>${path}</code>`));
  });
});

describe("endpoint annotations", () => {
  /** Asks over a socket, as the proxies and addresses of a peer need one. */
  async function endpointOf(proxied: readonly string[], headers: Readonly<Record<string, string>>): Promise<string> {
    await using api = await apiForTests();
    const app = await api.app();
    await api.fn(app.id);
    const proxies = trustedProxies(proxied);
    const admin = createAdmin({
      store: api.store,
      endpointBase: (c) => proxies.origin(c),
      limits: { maxBytes: 1_024, timeoutMs: 1_000 },
      token: "",
      proxies,
      metrics: createMetrics(),
      ready: () => ({ ready: true, detail: "" }),
      retryAfterSeconds: 1,
      version: "1",
      log: silentLog,
    });
    await using listener = await listen(admin, { host: "127.0.0.1", port: 0, drainTimeoutMs: 0 });
    const text = await new Promise<string>((resolve, reject) => {
      const path = `/v2/fns?app_id=${app.id}`;
      const asked = request({ host: "127.0.0.1", port: listener.port, path, headers, agent: false }, (response) => {
        let body = "";
        response.on("data", (chunk: Buffer) => (body += chunk.toString()));
        response.on("end", () => resolve(body));
      });
      asked.on("error", reject);
      asked.end();
    });
    const endpoint = /"fnproject.io\/fn\/invokeEndpoint":"([^"]+)\/invoke\//.exec(text)?.[1];
    return (endpoint ?? text).replace(String(listener.port), "PORT");
  }
  const forwarded = { "x-forwarded-proto": "https", "x-forwarded-host": "fn.example.com" };

  for (const [what, proxies, headers, expected] of [
    ["the address that the client asked", [], {}, "http://127.0.0.1:PORT"],
    ["that address, whatever somebody says who is no listed proxy", [], forwarded, "http://127.0.0.1:PORT"],
    ["that address, if another proxy is listed", ["10.0.0.0/8"], forwarded, "http://127.0.0.1:PORT"],
    ["what a listed proxy says", ["127.0.0.1"], forwarded, "https://fn.example.com"],
    ["what a proxy of a listed range says", ["::1", "127.0.0.0/8"], forwarded, "https://fn.example.com"],
    [
      "the port that it says",
      ["127.0.0.1"],
      { ...forwarded, "x-forwarded-port": "8443" },
      "https://fn.example.com:8443",
    ],
    [
      "no port that the scheme has anyway",
      ["127.0.0.1"],
      { ...forwarded, "x-forwarded-port": "443" },
      "https://fn.example.com",
    ],
    [
      "the word of the nearest proxy",
      ["127.0.0.1"],
      { "x-forwarded-proto": "http, https", "x-forwarded-host": "evil, fn.example.com" },
      "https://fn.example.com",
    ],
    [
      "nothing that is no host",
      ["127.0.0.1"],
      { "x-forwarded-host": "evil/path?x", "x-forwarded-proto": "javascript" },
      "http://127.0.0.1:PORT",
    ],
  ] as const) {
    it(`show ${what}`, async () => {
      assert.equal(await endpointOf(proxies, headers), expected);
    });
  }

  it("need proxies that are addresses", () => {
    for (const address of ["proxy.example.com", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8/8", "::/129"]) {
      assert.throws(() => trustedProxies([address]), /FN_TRUSTED_PROXIES has ".*", expected an IP address or a range/);
    }
  });
});
