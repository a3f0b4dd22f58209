import type { Context, ErrorHandler, MiddlewareHandler } from "hono";
import { createMiddleware } from "hono/factory";

import { CallError } from "../../core/call-error.ts";
import type { FoundFunction } from "../functions/functions.ts";
import type { GatewayEnv } from "../overrider.ts";
import { tooBig } from "./body-intake.ts";
import { buildCall } from "./build-call.ts";
import { asksForUpgrade } from "./call-headers.ts";
import { Exchange, type ExchangeParts } from "./exchange.ts";
import type { Framing } from "./framing.ts";
import type { IncomingBody } from "./incoming-body.ts";
import { nodeBindings } from "./node-bindings.ts";

/** What a request is for, and how its HTTP is put to it. */
export interface CallTarget {
  readonly found: FoundFunction;
  readonly framing: Framing;
}

/** @throws CallError where a request is for nothing that there is */
export type FindTarget = (c: Context<GatewayEnv>, signal: AbortSignal) => Promise<CallTarget>;

/**
 * Stands before the middleware of a route that runs functions: gives the request its id before anything can fail,
 * refuses what can be refused unseen, and builds the call. `route` is what metrics call it.
 */
export function beginCall(
  route: string,
  find: FindTarget,
  answerError: ErrorHandler<GatewayEnv>,
  parts: ExchangeParts,
): MiddlewareHandler<GatewayEnv> {
  return createMiddleware<GatewayEnv>(async (c, next) => {
    const exchange = new Exchange(c, parts);
    c.set("callId", exchange.callId);
    c.set("exchange", exchange);
    try {
      if (parts.stopping.aborted) throw new CallError("shutting_down");
      refuseUnseen(exchange, parts.limits.maxRequestBytes);
      giveBodyToMiddleware(c, exchange);
      await findCall(c, exchange, find, parts.urlOf(c));
      await next();
    } catch (reason) {
      // Hono hands what middleware throws to its error handler, but only if it is an Error.
      c.res = await answerError(reason instanceof Error ? reason : CallError.from(reason), c);
    }
    exchange.answered();
    parts.metrics.answered({ path: route, method: c.req.method }, c.res.status, exchange.failure, exchange.elapsedMs());
    // The server cuts a connection whose request nobody will read to its end: the client must not reuse it.
    const { incoming } = nodeBindings(c);
    const unread = incoming?.complete === false && !exchange.body.taken;
    if (unread && incoming.httpVersionMajor === 1) c.header("Connection", "close");
    // Looking costs as much as routing does, and our own answer has it.
    if (c.res !== exchange.answer && !c.res.headers.has("fn-call-id")) c.header("Fn-Call-Id", exchange.callId);
  });
}

function refuseUnseen(exchange: Exchange, maxRequestBytes: number): void {
  if (asksForUpgrade(exchange.headers)) throw new CallError("upgrade_unsupported");
  const { declaredBytes } = exchange;
  if (maxRequestBytes > 0 && declaredBytes !== undefined && declaredBytes > maxRequestBytes) {
    throw tooBig(declaredBytes, maxRequestBytes);
  }
}

async function findCall(c: Context<GatewayEnv>, exchange: Exchange, find: FindTarget, url: string): Promise<void> {
  try {
    const { found, framing } = await find(c, exchange.signal);
    exchange.framing = framing;
    const request = { method: c.req.method, url, headers: exchange.headers };
    exchange.built = buildCall(exchange.callId, found, request, framing);
    c.set("call", exchange.built);
  } catch (reason) {
    // Told after the middleware: who may not call does not learn what exists, and CORS applies to this answer too.
    exchange.missing = exchange.signal.aborted ? CallError.from(exchange.signal.reason) : CallError.from(reason);
  }
}

/**
 * Serves every way in which Hono reads a body from one place, which keeps the bytes for the function: Hono looks for
 * what was read before, in any form, before it touches the request.
 */
function giveBodyToMiddleware(c: Context<GatewayEnv>, { body }: Exchange): void {
  Object.defineProperty(Object.assign(c.req.bodyCache, { [BODY]: body }), "arrayBuffer", FROM_BODY);
}

/** Hono looks at names only, not at symbols. */
const BODY = Symbol("body");

/** One for all requests: a getter of its own would cost each an object of its own shape, and twice the time. */
const FROM_BODY = {
  configurable: true,
  enumerable: true,
  get(this: { readonly [BODY]: IncomingBody }): Promise<ArrayBuffer> {
    return this[BODY].copy();
  },
};
