import type { Context } from "hono";

import { CallError } from "../../core/call-error.ts";
import type { Log } from "../../core/log.ts";
import type { FunctionLookup, TriggerLookup } from "../functions/functions.ts";
import type { FindTarget } from "../invoke/begin-call.ts";
import type { GatewayEnv } from "../overrider.ts";
import type { Trigger } from "../store/store.ts";
import { triggerFraming } from "./trigger-framing.ts";
import { MethodRefused, type RouteMatch, TriggerRoutes } from "./trigger-routes.ts";

interface FindTriggerParts {
  readonly triggers: TriggerLookup;
  readonly functions: FunctionLookup;
  /** The URL that the client asked for. */
  readonly urlOf: (c: Context<GatewayEnv>) => string;
  readonly log: Log;
}

/** Finds the trigger that a request below `/t/:app` is for, with its function. */
export function findTrigger({ triggers, functions, urlOf, log }: FindTriggerParts): FindTarget {
  const kept = new WeakMap<readonly Trigger[], TriggerRoutes>();
  const routesOf = (all: readonly Trigger[]): TriggerRoutes => {
    const routes = kept.get(all) ?? new TriggerRoutes(all, log);
    kept.set(all, routes);
    return routes;
  };
  return async (c, signal) => {
    const app = await triggers.appByName(c.req.param("app") ?? "", signal);
    if (app === undefined) throw new CallError("app_not_found");
    const match = matchOf(c, urlOf(c), routesOf(await triggers.triggersOf(app.id, signal)));
    const { trigger, settings, params } = match;
    const { id, name, source } = trigger;
    c.set("trigger", { id, name, type: "http", source, params });
    c.set("triggerCors", settings.cors);
    const found = await functions.find(trigger.fnId, signal);
    if (found === undefined) throw new CallError("fn_not_found");
    return { found, framing: triggerFraming(match) };
  };
}

function matchOf(c: Context<GatewayEnv>, url: string, routes: TriggerRoutes): RouteMatch {
  const { method, path: whole } = c.req;
  const path = `/${whole.split("/").slice(3).join("/")}`;
  const host = new URL(url).hostname;
  // A browser that asks for another site's leave asks for the request that would follow.
  const wanted = method === "OPTIONS" ? c.req.header("access-control-request-method") : undefined;
  try {
    if (wanted !== undefined) {
      const match = routes.match({ method: wanted, host, path });
      if (match.settings.cors !== undefined) return match;
    }
    return routes.match({ method, host, path });
  } catch (reason) {
    if (reason instanceof MethodRefused) c.header("Allow", reason.allow);
    throw reason;
  }
}
