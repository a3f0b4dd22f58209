// A gateway as one would first write it: Hono, and a unary call of connect-node for each request. No feature of Kiln's.
// node bench/bare/unary-gateway.ts RUNNER-ADDRESS PKI-DIRECTORY
import process from "node:process";

import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { serve, type HttpBindings } from "@hono/node-server";
import { Hono } from "hono";

import { RunnerService } from "../../gen/kiln/runner/v1/runner_pb.ts";
import { passedHeaders } from "./passed-headers.ts";
import { pkiOf } from "./pki.ts";

const [runner = "", pki = ""] = process.argv.slice(2);
const client = createClient(
  RunnerService,
  createConnectTransport({
    httpVersion: "2",
    baseUrl: `https://${runner}`,
    acceptCompression: [],
    nodeOptions: { ...pkiOf("gateway", pki), servername: "kiln-runner" },
  }),
);

const app = new Hono<{ Bindings: HttpBindings }>();
app.post("/invoke/:fnId", async (c) => {
  const { rawHeaders } = c.env.incoming;
  const headers = passedHeaders(rawHeaders);
  const body = new Uint8Array(await c.req.arrayBuffer());
  const answer = await client.invoke({ call: { fnId: c.req.param("fnId"), method: c.req.method, headers }, body });
  const fields = Object.fromEntries(answer.headers.map(({ name, value }) => [name, value]));
  return new Response(answer.body as Uint8Array<ArrayBuffer>, { status: answer.status, headers: fields });
});

serve({ fetch: app.fetch, hostname: "127.0.0.1", port: 0 }, ({ port }) => {
  process.stdout.write(`${JSON.stringify({ address: `127.0.0.1:${port}` })}\n`);
});
for (const end of ["SIGTERM", "disconnect"]) process.on(end, () => process.exit(0));
