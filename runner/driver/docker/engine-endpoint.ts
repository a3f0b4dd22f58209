/** Where an Engine listens, as node:http and docker-modem take it. */
export type EngineEndpoint = { readonly socketPath: string } | { readonly host: string; readonly port: string };

/** @param host - written as in DOCKER_HOST: `unix:///path` or `tcp://host:port` @throws TypeError */
export function engineEndpoint(host = "unix:///var/run/docker.sock"): EngineEndpoint {
  if (host.startsWith("unix://")) return { socketPath: host.slice("unix://".length) };
  const url = URL.parse(host);
  if (url?.protocol !== "tcp:" || url.port === "") {
    throw new TypeError(`Cannot read Docker host "${host}": expected unix:///path or tcp://host:port`);
  }
  // An IPv6 address without its brackets, which only a URL has.
  return { host: url.hostname.replace(/^\[(.*)\]$/, "$1"), port: url.port };
}
