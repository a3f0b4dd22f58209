import type { HttpBindings } from "@hono/node-server";
import type { Context, MiddlewareHandler } from "hono";
import { createMiddleware } from "hono/factory";

import type { Call, CallId } from "../core/call.ts";
import type { CallOutcome } from "./invoke/call-outcome.ts";
import type { Exchange } from "./invoke/exchange.ts";
import type { CalledTrigger } from "./triggers/called-trigger.ts";
import type { CorsSettings } from "./triggers/trigger-settings.ts";

/** What middleware of the invoke path finds in its context. */
export interface GatewayEnv {
  Bindings: HttpBindings;
  Variables: {
    callId: CallId;
    /**
     * The call so far; set another to replace it. Where the function does not exist there is none, and middleware runs
     * all the same, so that a client must pass it before it learns of that: overriders are then left out.
     */
    call: Call;
    /** What became of the call, after `await next()`; undefined if it was never to be placed. */
    outcome: CallOutcome | undefined;
    /** The trigger that the request came by; undefined for a direct invocation. */
    trigger: CalledTrigger | undefined;
    /** The gateway's own. */
    triggerCors: CorsSettings | undefined;
    /** The gateway's own. */
    exchange: Exchange;
  };
}

/** Middleware of the invoke path: any of Hono's, and `overrideCall`'s. */
export type Overrider = MiddlewareHandler<GatewayEnv>;

/** Given the call so far, returns the call to make instead. */
export type CallOverrider = (call: Call, c: Context<GatewayEnv>) => Call | Promise<Call>;

/**
 * Lifts an overrider into Hono middleware. Stack as many as you like: each one sees the call that the one before it
 * returned.
 *
 * @example
 * ```ts
 * export const overriders = [
 *   overrideCall((call, c) => (c.req.header("x-plan") === "large" ? { ...call, memoryMiB: 1024 } : call)),
 * ];
 * ```
 */
export function overrideCall(overrider: CallOverrider): Overrider {
  return createMiddleware<GatewayEnv>(async (c, next) => {
    const call: Call | undefined = c.get("call");
    if (call !== undefined) c.set("call", await overrider(call, c));
    await next();
  });
}
