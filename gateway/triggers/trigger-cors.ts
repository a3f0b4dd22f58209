import { cors } from "hono/cors";
import { createMiddleware } from "hono/factory";

import type { GatewayEnv, Overrider } from "../overrider.ts";
import { METHODS } from "./methods.ts";
import type { CorsSettings } from "./trigger-settings.ts";

/**
 * Tells other sites' pages whether they may call a trigger, where its settings say so, before any overrider: browsers
 * send no credentials when they ask, and have to be able to read errors too.
 */
export const triggerCors: Overrider = createMiddleware<GatewayEnv>((c, next) => {
  const settings = c.get("triggerCors");
  return settings === undefined ? next() : middlewareOf(settings)(c, next);
});

const made = new WeakMap<CorsSettings, Overrider>();

function middlewareOf(settings: CorsSettings): Overrider {
  const before = made.get(settings);
  if (before !== undefined) return before;
  const { origins, methods = [...METHODS], headers = [], expose = [], credentials, max_age: maxAge } = settings;
  const middleware = cors({
    origin: origins.includes("*") ? "*" : origins,
    allowMethods: methods,
    allowHeaders: headers,
    exposeHeaders: expose,
    credentials,
    ...(maxAge === undefined ? {} : { maxAge }),
  });
  made.set(settings, middleware);
  return middleware;
}
