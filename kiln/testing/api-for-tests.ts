import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";

import { createLog } from "../../core/log.ts";
import { createMetrics } from "../../core/metrics.ts";
import { createAdmin, type AdminOptions } from "../../gateway/admin.ts";
import type { Store } from "../../gateway/store/store.ts";
import { trustedProxies } from "../../gateway/trusted-proxies.ts";
import { errorBody, type ErrorBody } from "./error-body.ts";
import { sqliteFile, type DatabaseForTests } from "./store-for-tests.ts";

/** An entity or a list, as a client reads it. */
export type Answer = Readonly<Record<string, unknown>>;

/** The administrators' part of a gateway, on a database of its own. */
export interface ApiForTests extends AsyncDisposable {
  readonly store: Store;
  /** Its log. */
  readonly lines: readonly string[];
  send(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<Response>;
  fetch(request: Request): Promise<Response>;
  /** The answer of a request that has to succeed. */
  get(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  /** The error of a request that has to fail in this way. */
  fails(status: number, method: string, path: string, body?: unknown): Promise<ErrorBody>;
  /** A new app of a name of its own. */
  app(fields?: Answer): Promise<Answer & { readonly id: string; readonly name: string }>;
  /** A new function in an app. */
  fn(appId: string, fields?: Answer): Promise<Answer & { readonly id: string; readonly name: string }>;
}

export async function apiForTests(
  options: Partial<AdminOptions> = {},
  create: () => Promise<DatabaseForTests> = sqliteFile,
): Promise<ApiForTests> {
  const database = await create();
  const store = await database.open();
  const lines: string[] = [];
  const log = createLog({ level: "debug", format: "json", write: (line) => void lines.push(line) });
  const proxies = trustedProxies([]);
  const admin = createAdmin({
    store,
    endpointBase: (c) => proxies.origin(c),
    limits: { maxBytes: 1_048_576, timeoutMs: 5_000 },
    token: "",
    proxies,
    metrics: createMetrics(),
    ready: () => ({ ready: true, detail: "no check" }),
    retryAfterSeconds: 15,
    version: "1.2.3",
    log,
    ...options,
  });
  const send: ApiForTests["send"] = async (method, path, body, headers = {}) => {
    const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
    return admin.request(path, { method, headers, ...(text === undefined ? {} : { body: text }) });
  };
  const get: ApiForTests["get"] = async (...request) => {
    const response = await send(...request);
    const text = await response.text();
    assert.equal(response.status, 200, text);
    assert.equal(response.headers.get("content-type"), "application/json; charset=utf-8");
    return JSON.parse(text) as Answer;
  };
  const named = (fields: Answer) => ({ name: `n${randomBytes(5).toString("hex")}`, ...fields });
  type Entity = Answer & { readonly id: string; readonly name: string };
  return {
    store,
    lines,
    send,
    fetch: async (request) => admin.fetch(request),
    get,
    async fails(status, ...request) {
      const response = await send(...request);
      assert.equal(response.status, status, await response.clone().text());
      return errorBody(response);
    },
    app: async (fields = {}) => (await get("POST", "/v2/apps", named(fields))) as Entity,
    fn: async (appId, fields = {}) =>
      (await get("POST", "/v2/fns", named({ app_id: appId, image: "image:1", ...fields }))) as Entity,
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}
