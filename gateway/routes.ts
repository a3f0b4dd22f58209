import type { Env, Handler, Hono } from "hono";

import { CallError } from "../core/call-error.ts";
import type { Readiness } from "../core/readiness.ts";

export const JSON_TYPE = { "content-type": "application/json; charset=utf-8" };

// Byte for byte what Fn's clients look for.
const PING = '{"goto":"https://github.com/fnproject/fn","hello":"world!"}';

/** What Fn's clients ask any server: whether it is one, and which. */
export function identityPages<E extends Env>(app: Hono<E>, version: string): void {
  page(app, "/", (c) => c.body(PING, 200, JSON_TYPE));
  page(app, "/version", (c) => c.body(JSON.stringify({ version }), 200, JSON_TYPE));
}

/** What orchestrators ask. */
export function healthPages<E extends Env>(app: Hono<E>, ready: () => Readiness | Promise<Readiness>): void {
  page(app, "/livez", (c) => c.body(JSON.stringify({ live: true }), 200, JSON_TYPE));
  page(app, "/readyz", async (c) => {
    const state = await ready();
    if (!state.ready) throw new CallError("runner_unreachable", `Not ready: ${state.detail}`);
    return c.body(JSON.stringify(state), 200, JSON_TYPE);
  });
}

/** A fixed route that is only read. */
export function page<E extends Env>(app: Hono<E>, path: string, handler: Handler<E>): void {
  app.get(path, handler);
  only(app, path, "GET, HEAD");
}

/** Stands behind a path's handlers: other methods are told which there are, and a last slash is taken away. */
export function only<E extends Env>(app: Hono<E>, path: string, allow: string): void {
  app.all(path, refuseMethod(allow));
  if (path === "/") return;
  app.all(`${path}/`, (c) => {
    const { pathname, search } = new URL(c.req.url);
    // 307 keeps method and body; for GET Fn says 301, which clients may remember.
    return c.redirect(pathname.replace(/\/+$/, "") + search, c.req.method === "GET" ? 301 : 307);
  });
}

export function refuseMethod(allow: string): Handler {
  return (c) => {
    c.header("Allow", allow);
    throw new CallError("method_not_allowed", `Method not allowed: ${c.req.method} ${c.req.path}`);
  };
}
