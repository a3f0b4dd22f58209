import type { Context } from "hono";

/** Where the reader of an answer reaches functions: scheme, host and perhaps a path, without a last slash. */
export type EndpointBase = (c: Context) => string;
