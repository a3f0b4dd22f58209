import type { HttpBindings } from "@hono/node-server";

/** What can be served: a Hono app. */
export interface Fetcher {
  fetch(request: Request, bindings: HttpBindings): Response | Promise<Response>;
}
