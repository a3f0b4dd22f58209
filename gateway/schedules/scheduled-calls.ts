import type { HttpBindings } from "@hono/node-server";
import type { Context, MiddlewareHandler } from "hono";

import { CallError } from "../../core/call-error.ts";
import type { Fetcher } from "../fetcher.ts";
import type { FunctionLookup } from "../functions/functions.ts";
import type { FindTarget } from "../invoke/begin-call.ts";
import { DIRECT } from "../invoke/framing.ts";
import type { GatewayEnv } from "../overrider.ts";
import type { DueTrigger } from "../store/store.ts";

/** Where the gateway asks itself for scheduled calls. */
export const SCHEDULES = "/schedules/:id";

/** In the place of an HTTP server's bindings: nothing that came over a socket is one. */
class OwnRequest {
  readonly trigger: DueTrigger;

  constructor(trigger: DueTrigger) {
    this.trigger = trigger;
  }
}

/** Has a gateway make a schedule's call, the way every call goes. Resolves once a runner has it. @throws Error */
export async function runScheduled(gateway: Fetcher, trigger: DueTrigger): Promise<void> {
  const url = `http://gateway.invalid/schedules/${encodeURIComponent(trigger.id)}`;
  const bindings = new OwnRequest(trigger) as unknown as HttpBindings;
  const response = await gateway.fetch(new Request(url, { method: "POST" }), bindings);
  const text = await response.text();
  if (response.status !== 202) throw new Error(`Scheduled call was answered with ${response.status}: ${text}`);
}

/** Lets the gateway's own requests pass: for everybody else there is no such path. */
export const ownRequestsOnly: MiddlewareHandler<GatewayEnv> = async (c, next) =>
  triggerOf(c) === undefined ? c.notFound() : next();

/** Finds the function that a schedule runs, detached. */
export function findScheduled(functions: FunctionLookup): FindTarget {
  return async (c, signal) => {
    const trigger = triggerOf(c);
    const found = trigger && (await functions.find(trigger.fnId, signal));
    if (trigger === undefined || found === undefined) throw new CallError("fn_not_found");
    const { id, name, source, dueMs } = trigger;
    c.set("trigger", { id, name, type: "schedule", source, params: {} });
    const due = new Date(dueMs).toISOString();
    return {
      found,
      framing: {
        ...DIRECT,
        triggerId: id,
        request: () => ({
          type: "detached",
          headers: [
            ["Fn-Intent", "schedule"],
            ["Fn-Schedule-Time", due],
          ],
        }),
      },
    };
  };
}

function triggerOf(c: Context<GatewayEnv>): DueTrigger | undefined {
  const bindings: unknown = c.env;
  return bindings instanceof OwnRequest ? bindings.trigger : undefined;
}
