import { createHash, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { isLoopback } from "./loopback.ts";
import type { Readiness } from "./readiness.ts";
import type { MetricsText } from "./workers/vitals.ts";

export interface AdminOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Lets other processes of this user listen there too. */
  readonly shared?: boolean;
  /** Asked of whoever wants more than a state; empty asks for none, and is refused beyond loopback. */
  readonly token: string;
  readonly metrics: MetricsText;
  readonly version: string;
  /** Whether calls can be taken now. */
  readonly readiness: () => Readiness | Promise<Readiness>;
}

/** A listener for operators: `/metrics`, `/livez`, `/readyz`, `/version`. Disposing it closes it at once. */
export interface AdminServer extends AsyncDisposable {
  /** `host:port` */
  readonly address: string;
}

interface Page {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

const PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8";
const REQUEST_TIMEOUT_MS = 10_000;
/** Enough for every scraper there is, and no room for anybody else. */
const MOST_CONNECTIONS = 64;

/** @throws Error if anybody could read it, or the address is taken */
export async function serveAdmin(options: AdminOptions): Promise<AdminServer> {
  const { host, port, token, shared = false } = options;
  if (token === "" && !isLoopback(host)) {
    throw new Error(`Cannot serve metrics on ${host} to everybody: set FN_ADMIN_TOKEN, or FN_ADMIN_BIND to 127.0.0.1`);
  }
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    void answer(request, options).then(
      (page) => send(request, response, page),
      (error: unknown) => send(request, response, json(500, { message: String(error) })),
    );
  });
  server.maxConnections = MOST_CONNECTIONS;
  await listen(server, { host, port, reusePort: shared });
  const { port: bound } = server.address() as AddressInfo;
  return {
    address: `${host.includes(":") ? `[${host}]` : host}:${bound}`,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(request: IncomingMessage, options: AdminOptions): Promise<Page> {
  const [path = ""] = (request.url ?? "").split("?");
  if (request.method !== "GET" && request.method !== "HEAD") return json(405, { message: "Method not allowed" });
  if (path === "/livez") return json(200, { live: true });
  if (path === "/readyz") {
    const state = await options.readiness();
    return json(state.ready ? 200 : 503, state);
  }
  if (path !== "/metrics" && path !== "/version")
    return json(404, { message: `Path not found: ${path.slice(0, 200)}` });
  if (!isAllowed(request, options.token)) return json(401, { message: "Expected the bearer token of FN_ADMIN_TOKEN" });
  if (path === "/version") return json(200, { version: options.version });
  return { status: 200, type: PROMETHEUS, text: await options.metrics.render() };
}

function send({ method }: IncomingMessage, response: ServerResponse, { status, type, text }: Page): void {
  const headers: Record<string, string | number> = {
    "content-type": type,
    "content-length": Buffer.byteLength(text),
    "cache-control": "no-store",
  };
  if (status === 401) headers["www-authenticate"] = "Bearer";
  if (status === 405) headers["allow"] = "GET, HEAD";
  response.writeHead(status, headers).end(method === "HEAD" ? undefined : text);
}

function json(status: number, body: object): Page {
  return { status, type: "application/json; charset=utf-8", text: JSON.stringify(body) };
}

function isAllowed({ headers: { authorization = "" } }: IncomingMessage, token: string): boolean {
  // Hashes have one length, and how long comparing them takes says nothing of the token.
  return token === "" || timingSafeEqual(sha256(authorization), sha256(`Bearer ${token}`));
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function listen(server: Server, where: { host: string; port: number; reusePort: boolean }): Promise<void> {
  const { host, port } = where;
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const why = error.code === "EADDRINUSE" ? "another process listens there" : error.message;
      reject(new Error(`Cannot serve metrics on ${host}:${port}: ${why}, see FN_ADMIN_PORT`, { cause: error }));
    });
    server.listen(where, () => {
      server.removeAllListeners("error");
      server.on("error", () => {});
      resolve();
    });
  });
}
