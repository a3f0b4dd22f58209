import { createHash, timingSafeEqual } from "node:crypto";

import { Hono, type Context, type MiddlewareHandler } from "hono";

import { CallError } from "../core/call-error.ts";
import type { Log } from "../core/log.ts";
import { isLoopback } from "../core/loopback.ts";
import type { Readiness } from "../core/readiness.ts";
import type { MetricsText } from "../core/workers/vitals.ts";
import { serveApi } from "./api/api.ts";
import type { EndpointBase } from "./api/endpoint-base.ts";
import type { BodyLimits } from "./api/read-body.ts";
import { answerErrors } from "./invoke/answer-error.ts";
import type { GatewayEnv } from "./overrider.ts";
import { healthPages, identityPages, page } from "./routes.ts";
import type { Store } from "./store/store.ts";
import type { TrustedProxies } from "./trusted-proxies.ts";

export interface AdminOptions {
  /** Without one there is no API. */
  readonly store: Store | undefined;
  readonly endpointBase: EndpointBase;
  readonly limits: BodyLimits;
  /** Asked of whoever wants more than health. Empty asks nothing, of clients on this machine that are no web page. */
  readonly token: string;
  readonly proxies: TrustedProxies;
  readonly metrics: MetricsText;
  readonly ready: () => Readiness | Promise<Readiness>;
  readonly retryAfterSeconds: number;
  readonly version: string;
  readonly log: Log;
}

const PROMETHEUS = { "content-type": "text/plain; version=0.0.4; charset=utf-8", "cache-control": "no-store" };

/** What operators and developers use: the API, its description, and metrics. */
export function createAdmin(options: AdminOptions): Hono<GatewayEnv> {
  const { store, endpointBase, limits, token, metrics, version, log } = options;
  const app = new Hono<GatewayEnv>();
  const answerError = answerErrors(log, options.retryAfterSeconds);
  app.onError(answerError);
  app.notFound((c) => answerError(new CallError("not_found", `Path not found: ${c.req.method} ${c.req.path}`), c));
  healthPages(app, options.ready);
  app.use("*", token === "" ? refuseForeign(options.proxies) : askFor(token));
  identityPages(app, version);
  page(app, "/metrics", async (c) => c.body(await metrics.render(), 200, PROMETHEUS));
  if (store !== undefined) serveApi(app, { store, endpointBase, limits, version });
  return app;
}

function askFor(token: string): MiddlewareHandler<GatewayEnv> {
  const expected = sha256(`Bearer ${token}`);
  return async (c, next) => {
    // Hashes have one length, and how long comparing them takes says nothing of the token.
    if (!timingSafeEqual(sha256(c.req.header("authorization") ?? ""), expected)) {
      c.header("WWW-Authenticate", "Bearer");
      throw new CallError("unauthorized");
    }
    await next();
  };
}

/**
 * Without a token, a page of any site that a developer's browser shows could change functions: by a request that asks
 * nobody's leave, or under a name that it has pointed to this machine.
 */
function refuseForeign(proxies: TrustedProxies): MiddlewareHandler<GatewayEnv> {
  return async (c, next) => {
    const { hostname, host } = new URL(c.req.url);
    if (!isLoopback(hostname.replace(/^\[|\]$/g, "")) && !proxies.isTrusted(c)) {
      throw new CallError("refused_by_middleware", `Administration is not served as "${host}" without FN_ADMIN_TOKEN`);
    }
    if (isForeign(c, proxies)) {
      throw new CallError("refused_by_middleware", "Administration is not open to other sites' pages");
    }
    await next();
  };
}

function isForeign(c: Context<GatewayEnv>, proxies: TrustedProxies): boolean {
  const origin = c.req.header("origin");
  return origin !== undefined && origin !== proxies.origin(c);
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
