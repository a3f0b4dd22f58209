import { Hono, type Context, type Handler } from "hono";

import { CallError } from "../core/call-error.ts";
import { systemClock, type Clock } from "../core/clock.ts";
import { silentLog, type Log } from "../core/log.ts";
import { createMetrics, type Metrics } from "../core/metrics.ts";
import type { Readiness } from "../core/readiness.ts";
import type { FunctionLookup } from "./functions/functions.ts";
import { answerErrors } from "./invoke/answer-error.ts";
import { beginCall } from "./invoke/begin-call.ts";
import { callMetrics } from "./invoke/call-metrics.ts";
import type { Exchange } from "./invoke/exchange.ts";
import { invokeCall } from "./invoke/invoke-call.ts";
import { DEFAULT_LIMITS, type InvokeLimits } from "./invoke/limits.ts";
import type { GatewayEnv, Overrider } from "./overrider.ts";
import type { Placer, RunnerPool } from "./runnerpool/runnerpool.ts";

export interface GatewayOptions {
  readonly functions: FunctionLookup;
  readonly placer: Placer;
  readonly pool: RunnerPool;
  /** Any Hono middleware, in the order it is to run for every call. */
  readonly overriders?: readonly Overrider[];
  readonly limits?: Partial<InvokeLimits>;
  /** Whether calls can be placed; always, unless told. */
  readonly ready?: () => Readiness;
  /** Once it is aborted, calls are answered that the gateway shuts down: those that run, and new ones. */
  readonly stopping?: AbortSignal;
  readonly version?: string;
  readonly instruments?: { readonly clock?: Clock; readonly log?: Log; readonly metrics?: Metrics };
}

export type { Readiness };

const INVOKE = "/invoke/:fnId";
const JSON_TYPE = { "content-type": "application/json; charset=utf-8" };
// Byte for byte what Fn's clients look for.
const PING = '{"goto":"https://github.com/fnproject/fn","hello":"world!"}';

/** The gateway as a Hono app: serve it with `listen()`, or drive it with `app.request()`. */
export function createGateway(options: GatewayOptions): Hono<GatewayEnv> {
  const { functions, placer, pool, overriders = [], version = "unknown" } = options;
  const { clock = systemClock, log = silentLog, metrics = createMetrics() } = options.instruments ?? {};
  const { ready = () => ({ ready: true, detail: "no check" }) } = options;
  const { stopping = new AbortController().signal } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };

  const app = new Hono<GatewayEnv>();
  const answerError = answerErrors(log, limits.retryAfterSeconds);
  app.onError(answerError);
  app.notFound((c) => answerError(new CallError("not_found", `Path not found: ${c.req.method} ${c.req.path}`), c));

  page(app, "/", (c) => c.body(PING, 200, JSON_TYPE));
  page(app, "/version", (c) => c.body(JSON.stringify({ version }), 200, JSON_TYPE));
  page(app, "/livez", (c) => c.body(JSON.stringify({ live: true }), 200, JSON_TYPE));
  page(app, "/readyz", (c) => {
    const state = ready();
    if (!state.ready) throw new CallError("runner_unreachable", `Not ready: ${state.detail}`);
    return c.body(JSON.stringify(state), 200, JSON_TYPE);
  });

  const find = async (c: Context<GatewayEnv>, signal: AbortSignal) => {
    const found = await functions.find(c.req.param("fnId") ?? "", signal);
    if (found === undefined) throw new CallError("fn_not_found");
    return found;
  };
  const open = new Set<Exchange>();
  stopping.addEventListener("abort", () => {
    for (const exchange of open) exchange.fail(new CallError("shutting_down"));
  });
  const parts = { limits, clock, log, metrics: callMetrics(metrics), open, stopping };
  app.use(INVOKE, beginCall(find, answerError, parts), ...overriders);
  app.post(INVOKE, invokeCall({ placer, pool, limits, clock }));
  app.all(INVOKE, notAllowed("POST"));
  app.all(`${INVOKE}/`, withoutSlash);
  return app;
}

/** A fixed route that is only read. */
function page(app: Hono<GatewayEnv>, path: string, handler: Handler<GatewayEnv>): void {
  app.get(path, handler);
  app.all(path, notAllowed("GET, HEAD"));
  if (path !== "/") app.all(`${path}/`, withoutSlash);
}

function notAllowed(allow: string): Handler<GatewayEnv> {
  return (c) => {
    c.header("Allow", allow);
    throw new CallError("method_not_allowed", `Method not allowed: ${c.req.method} ${c.req.path}`);
  };
}

function withoutSlash(c: Context<GatewayEnv>): Response {
  const { pathname, search } = new URL(c.req.url);
  // 307 keeps method and body; for GET Fn says 301, which clients may remember.
  return c.redirect(pathname.replace(/\/+$/, "") + search, c.req.method === "GET" ? 301 : 307);
}
