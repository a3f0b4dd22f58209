import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

type Fields = Readonly<Record<string, unknown>>;

/** What a server of Fn's holds: each as its API shows it, but for what that computes. */
export interface FnServerContent {
  readonly apps: readonly Fields[];
  readonly fns: readonly Fields[];
  readonly triggers: readonly Fields[];
}

export interface FnServer extends AsyncDisposable {
  readonly url: string;
  /** Paths that were asked for. */
  readonly requests: readonly string[];
}

/** Fn's own, of a server east of Greenwich. */
const STAMPS = { created_at: "2023-04-05T06:07:08.009+02:00", updated_at: "2023-04-05T06:07:08.009+02:00" };
const LIST = /^\/v2\/(apps|fns|triggers)$/;

/**
 * The part of Fn's API that is read, as Fn serves it, to the letter: pages by name alone with a cursor to an empty one
 * behind a full last one, endpoints among the annotations, times in the server's zone, and no header of versions.
 */
export async function fnServer(content: FnServerContent): Promise<FnServer> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "", "http://fn");
    requests.push(`${request.method} ${url.pathname}${url.search}`);
    const [, kind] = LIST.exec(url.pathname) ?? [];
    if (request.method !== "GET" || kind === undefined) {
      return answer(response, 404, { message: `Path not found: ${request.method} ${url.pathname}` });
    }
    answer(response, 200, page(content, kind as keyof FnServerContent, url.searchParams));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

function page(content: FnServerContent, kind: keyof FnServerContent, query: URLSearchParams): Fields {
  const per = Math.min(Number(query.get("per_page") ?? "30"), 100);
  const after = Buffer.from(query.get("cursor") ?? "", "base64url").toString();
  const wanted = (one: Fields) =>
    ["app_id", "fn_id", "name"].every((name) => !query.has(name) || one[name] === query.get(name));
  const name = (one: Fields) => String(one["name"]);
  const found = content[kind]
    .filter((one) => wanted(one) && name(one) > after)
    .sort((a, b) => (name(a) < name(b) ? -1 : 1))
    .slice(0, per);
  const last = found.at(-1);
  const items = found.map((one) => shown(kind, one));
  if (found.length < per || last === undefined) return { items };
  return { next_cursor: Buffer.from(name(last)).toString("base64url"), items };
}

function shown(kind: keyof FnServerContent, one: Fields): Fields {
  if (kind === "apps") return { ...one, ...STAMPS };
  const computed =
    kind === "fns"
      ? { "fnproject.io/fn/invokeEndpoint": `http://fn/invoke/${String(one["id"])}` }
      : { "fnproject.io/trigger/httpEndpoint": `http://fn/t/app${String(one["source"])}` };
  const annotations = { ...(one["annotations"] as Fields | undefined), ...computed };
  return { ...one, annotations, ...STAMPS };
}

function answer(response: ServerResponse, status: number, body: Fields): void {
  response.writeHead(status, { "content-type": "application/json; charset=utf-8" }).end(JSON.stringify(body));
}
