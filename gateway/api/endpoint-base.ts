import type { Context } from "hono";

import type { GatewayEnv } from "../overrider.ts";

/** Where the reader of an answer reaches functions: scheme, host and perhaps a path, without a last slash. */
export type EndpointBase = (c: Context<GatewayEnv>) => string;
