import { Hono, type Context } from "hono";

import { CallError } from "../core/call-error.ts";
import { systemClock, type Clock } from "../core/clock.ts";
import { silentLog, type Log } from "../core/log.ts";
import { createMetrics, type Metrics } from "../core/metrics.ts";
import type { Readiness } from "../core/readiness.ts";
import { Roster } from "../core/roster.ts";
import type { Fetcher } from "./fetcher.ts";
import type { FunctionLookup, TriggerLookup } from "./functions/functions.ts";
import { answerErrors } from "./invoke/answer-error.ts";
import { beginCall, type FindTarget } from "./invoke/begin-call.ts";
import { callMetrics } from "./invoke/call-metrics.ts";
import type { Exchange } from "./invoke/exchange.ts";
import { DIRECT } from "./invoke/framing.ts";
import { invokeCall } from "./invoke/invoke-call.ts";
import { DEFAULT_LIMITS, type InvokeLimits } from "./invoke/limits.ts";
import type { GatewayEnv, Overrider } from "./overrider.ts";
import { healthPages, identityPages, only, refuseMethod } from "./routes.ts";
import type { Placer, RunnerPool } from "./runnerpool/runnerpool.ts";
import { findScheduled, ownRequestsOnly, SCHEDULES } from "./schedules/scheduled-calls.ts";
import { findTrigger } from "./triggers/find-trigger.ts";
import { hostPaths } from "./triggers/host-paths.ts";
import { METHODS } from "./triggers/methods.ts";
import { triggerCors } from "./triggers/trigger-cors.ts";

export interface GatewayOptions {
  readonly functions: FunctionLookup;
  /** Without them there are no triggers. */
  readonly triggers?: TriggerLookup | undefined;
  readonly placer: Placer;
  readonly pool: RunnerPool;
  /** Hosts that are an app's own, in lower case: every path there is one of the app's triggers. */
  readonly hosts?: ReadonlyMap<string, string>;
  /** The URL that the client asked for, where a proxy stands before the gateway. */
  readonly urlOf?: (c: Context<GatewayEnv>) => string;
  /** Any Hono middleware, in the order it is to run for every call. */
  readonly overriders?: readonly Overrider[];
  readonly limits?: Partial<InvokeLimits>;
  /** Whether calls can be placed; always, unless told. */
  readonly ready?: () => Readiness | Promise<Readiness>;
  /** Once it is aborted, calls are answered that the gateway shuts down: those that run, and new ones. */
  readonly stopping?: AbortSignal;
  readonly version?: string;
  /** Serves what is not served here: the administrators' part, where both are on one port. */
  readonly otherwise?: Fetcher | undefined;
  readonly instruments?: { readonly clock?: Clock; readonly log?: Log; readonly metrics?: Metrics };
}

export type { Readiness };

const INVOKE = "/invoke/:fnId";
const TRIGGERS = "/t/:app/*";
const NO_HOSTS: ReadonlyMap<string, string> = new Map();

/** The gateway as a Hono app: serve it with `listen()`, or drive it with `app.request()`. */
export function createGateway(options: GatewayOptions): Hono<GatewayEnv> {
  const { functions, triggers, hosts = NO_HOSTS, placer, pool, overriders = [], version = "unknown" } = options;
  const { clock = systemClock, log = silentLog, metrics = createMetrics() } = options.instruments ?? {};
  const { ready = () => ({ ready: true, detail: "no check" }) } = options;
  const { stopping = new AbortController().signal, urlOf = (c) => c.req.url } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };

  const app = new Hono<GatewayEnv>(hosts.size === 0 ? {} : { getPath: hostPaths(hosts) });
  const answerError = answerErrors(log, limits.retryAfterSeconds);
  app.onError(answerError);
  app.notFound((c) => {
    if (options.otherwise !== undefined) return options.otherwise.fetch(c.req.raw, c.env);
    return answerError(new CallError("not_found", `Path not found: ${c.req.method} ${c.req.path}`), c);
  });

  identityPages(app, version);
  healthPages(app, ready);

  const open = new Roster<Exchange>();
  stopping.addEventListener("abort", () => {
    for (const exchange of open) exchange.fail(new CallError("shutting_down"));
  });
  const parts = { limits, clock, log, metrics: callMetrics(metrics), open, stopping, urlOf };
  const invoke = invokeCall({ placer, pool, limits, clock, preparedHeaders: overriders.length > 0 });
  app.use(INVOKE, beginCall("/invoke/:fn_id", findFunction(functions), answerError, parts), ...overriders);
  app.post(INVOKE, invoke);
  only(app, INVOKE, "POST");
  app.use(
    SCHEDULES,
    ownRequestsOnly,
    beginCall("schedule", findScheduled(functions), answerError, parts),
    ...overriders,
  );
  app.post(SCHEDULES, invoke);
  if (triggers !== undefined) {
    const find = findTrigger({ triggers, functions, urlOf, log });
    app.use(TRIGGERS, beginCall("/t/:app_name/*source", find, answerError, parts), triggerCors, ...overriders);
    app.on([...METHODS], TRIGGERS, invokeCall({ placer, pool, limits, clock, preparedHeaders: true }));
    app.all(TRIGGERS, refuseMethod(METHODS.join(", ")));
  }
  return app;
}

function findFunction(functions: FunctionLookup): FindTarget {
  return async (c, signal) => {
    const found = await functions.find(c.req.param("fnId") ?? "", signal);
    if (found === undefined) throw new CallError("fn_not_found");
    return { found, framing: DIRECT };
  };
}
