import { getPath } from "hono/utils/url";

/**
 * Reads hosts that are an app's own, `api.example.com=shop`, as a map from host to app.
 * @throws Error naming what is none
 */
export function triggerHosts(pairs: readonly string[]): ReadonlyMap<string, string> {
  const hosts = new Map<string, string>();
  for (const pair of pairs) {
    const [, host, app] = /^([A-Za-z0-9.-]+)=([^=/\s]+)$/.exec(pair) ?? [];
    if (host === undefined || app === undefined) {
      throw new Error(`FN_TRIGGER_HOSTS has "${pair}", expected a host and its app such as api.example.com=shop`);
    }
    hosts.set(host.toLowerCase(), app);
  }
  return hosts;
}

/** The path that a request is routed by: of a host that is an app's own, all of it leads to the app's triggers. */
export function hostPaths(hosts: ReadonlyMap<string, string>): (request: Request) => string {
  return (request) => {
    const app = hosts.get(new URL(request.url).hostname);
    const path = getPath(request);
    return app === undefined ? path : `/t/${encodeURIComponent(app)}${path}`;
  };
}
