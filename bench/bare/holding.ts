// The least that holds requests: Hono, the bytes of each request, and a promise that nobody keeps. `GET /held` counts them.
// node bench/bare/holding.ts
import process from "node:process";

import { serve, type HttpBindings } from "@hono/node-server";
import { Hono } from "hono";

const held = new Set<Uint8Array>();

const app = new Hono<{ Bindings: HttpBindings }>();
app.get("/held", (c) => c.text(String(held.size)));
app.post("/invoke/:fnId", async (c) => {
  const body = new Uint8Array(await c.req.arrayBuffer());
  held.add(body);
  await new Promise<void>((resolve) => c.env.outgoing.once("close", resolve));
  held.delete(body);
  return c.body(null);
});

serve({ fetch: app.fetch, hostname: "127.0.0.1", port: 0 }, ({ port }) => {
  process.stdout.write(`${JSON.stringify({ address: `127.0.0.1:${port}` })}\n`);
});
for (const end of ["SIGTERM", "disconnect"]) process.on(end, () => process.exit(0));
