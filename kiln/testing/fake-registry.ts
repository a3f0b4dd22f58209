import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";

export interface FakeRegistryOptions {
  /** The bearer token without which nothing is served. */
  readonly token?: string;
  /** The image's VOLUMEs. */
  readonly volumes?: readonly string[];
  /** How often each path is answered with 429 before it is served. */
  readonly tooManyRequests?: number;
}

/** A registry on loopback with the one image `cheese:1`, which is next to nothing: a daemon really pulls it. */
export interface FakeRegistry extends AsyncDisposable {
  /** `127.0.0.1:port`, to which Docker speaks without TLS. */
  readonly host: string;
  /** How often the image's manifest was asked for. */
  readonly manifestRequests: number;
  /** Holds back manifests until the returned function is called. */
  hold(): () => void;
}

const MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";

export async function fakeRegistry({
  token,
  volumes = [],
  tooManyRequests = 0,
}: FakeRegistryOptions = {}): Promise<FakeRegistry> {
  const image = tinyImage(volumes);
  let manifestRequests = 0;
  let gate: Promise<void> = Promise.resolve();
  const refused = new Map<string, number>();

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = request.url ?? "";
    if (token !== undefined && request.headers.authorization !== `Bearer ${token}`) {
      const realm = `Bearer realm="http://${request.headers.host}/token",service="cheese"`;
      return reply(response, 401, { "www-authenticate": realm }, error("UNAUTHORIZED"));
    }
    if (path === "/v2/") return reply(response, 200, {}, "{}");
    if (path.includes("/manifests/")) {
      manifestRequests += 1;
      await gate;
    }
    const times = refused.get(path) ?? 0;
    if (times < tooManyRequests) {
      refused.set(path, times + 1);
      return reply(response, 429, {}, error("TOOMANYREQUESTS"));
    }
    const found = image.get(path);
    if (found === undefined) return reply(response, 404, {}, error("MANIFEST_UNKNOWN"));
    reply(response, 200, { "content-type": found.type, "docker-content-digest": digest(found.bytes) }, found.bytes);
  };

  const server = createServer((request, response) => void answer(request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get manifestRequests() {
      return manifestRequests;
    },
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return resolve;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

function reply(response: ServerResponse, status: number, headers: Record<string, string>, body: string | Buffer): void {
  response.writeHead(status, { "content-length": Buffer.byteLength(body), ...headers });
  response.end(response.req.method === "HEAD" ? undefined : body);
}

function error(code: string): string {
  return JSON.stringify({ errors: [{ code, message: code.toLowerCase().replaceAll("_", " "), detail: {} }] });
}

/** What a registry serves of an image with one empty layer, by path. */
function tinyImage(volumes: readonly string[]): ReadonlyMap<string, { readonly type: string; readonly bytes: Buffer }> {
  const tar = Buffer.alloc(1_024);
  const layer = gzipSync(tar);
  const config = Buffer.from(
    JSON.stringify({
      architecture: "amd64",
      os: "linux",
      config: { Cmd: ["cheese"], Volumes: Object.fromEntries(volumes.map((path) => [path, {}])) },
      rootfs: { type: "layers", diff_ids: [digest(tar)] },
      history: [{ created_by: "kiln" }],
    }),
  );
  const part = (mediaType: string, bytes: Buffer) => ({ mediaType, size: bytes.length, digest: digest(bytes) });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: part("application/vnd.docker.container.image.v1+json", config),
      layers: [part("application/vnd.docker.image.rootfs.diff.tar.gzip", layer)],
    }),
  );
  const blob = (bytes: Buffer) => ({ type: "application/octet-stream", bytes });
  return new Map([
    ["/v2/cheese/manifests/1", { type: MANIFEST, bytes: manifest }],
    [`/v2/cheese/manifests/${digest(manifest)}`, { type: MANIFEST, bytes: manifest }],
    [`/v2/cheese/blobs/${digest(config)}`, blob(config)],
    [`/v2/cheese/blobs/${digest(layer)}`, blob(layer)],
  ]);
}

function digest(bytes: Buffer): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
