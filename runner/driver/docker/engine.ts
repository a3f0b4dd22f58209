import { Agent } from "node:http";
import { inspect } from "node:util";

import Docker from "dockerode";

export type { Docker };

export interface EngineOptions {
  /** Written as in DOCKER_HOST: `unix:///path` or `tcp://host:port`. */
  readonly host?: string | undefined;
}

/** A client of the Docker Engine. Nothing is sent until it is used; the only place that constructs dockerode. */
export function connectEngine({ host = "unix:///var/run/docker.sock" }: EngineOptions = {}): Docker {
  const options = {
    // docker-modem reads DOCKER_HOST, DOCKER_CERT_PATH and the rest by itself and lets them win
    // over what is merely absent here, so every one of them is named, if only as undefined.
    host: undefined,
    port: undefined,
    ca: undefined,
    cert: undefined,
    key: undefined,
    timeout: undefined,
    protocol: "http" as const,
    // On Deno 2.9 a request aborted on a reused keep-alive socket is sent a second time
    // (denoland/deno#36786): an aborted "create container" would run twice.
    agent: new PlainAgent({ keepAlive: false }),
    ...endpoint(host),
  };
  return new Docker(options);
}

/**
 * For a debug line that nobody reads docker-modem renders its options at every request, to any depth: with the sockets of
 * all other requests that took most of a busy runner's time.
 */
class PlainAgent extends Agent {
  [inspect.custom](): string {
    return "PlainAgent";
  }
}

/** The Engine's version, or undefined when it does not answer in time. */
export async function pingEngine(docker: Docker, timeoutMs: number): Promise<string | undefined> {
  // Dockerode takes options here and its types do not say so; `bind` picks the signature they fit.
  const version: (options: { abortSignal: AbortSignal }) => Promise<Docker.DockerVersion> = docker.version.bind(docker);
  try {
    return (await version({ abortSignal: AbortSignal.timeout(timeoutMs) })).Version;
  } catch {
    return undefined;
  }
}

/** Compares versions such as 20.10.24+dfsg1 and 17.10.0-ce by their numbers. */
export function isOlderThan(version: string, required: string): boolean {
  const [a, b] = [version, required].map(
    (text) =>
      text
        .split(/[^\d.]/, 1)[0]
        ?.split(".")
        .map(Number) ?? [],
  );
  for (let i = 0; i < 3; i++) {
    const difference = (a?.[i] ?? 0) - (b?.[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

function endpoint(host: string): { socketPath: string } | { host: string; port: string } {
  if (host.startsWith("unix://")) return { socketPath: host.slice("unix://".length) };
  const url = URL.parse(host);
  if (url?.protocol !== "tcp:" || url.port === "") {
    throw new TypeError(`Cannot read Docker host "${host}": expected unix:///path or tcp://host:port`);
  }
  return { host: url.hostname, port: url.port };
}
