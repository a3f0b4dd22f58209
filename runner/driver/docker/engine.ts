import Docker from "dockerode";

import { systemClock } from "../../../core/clock.ts";
import { EngineAgent } from "./engine-agent.ts";
import { engineEndpoint } from "./engine-endpoint.ts";

export type { Docker };

export interface EngineOptions {
  /** Written as in DOCKER_HOST: `unix:///path` or `tcp://host:port`. */
  readonly host?: string | undefined;
  /** Of the same host; the client's own opens no connections ahead. */
  readonly agent?: EngineAgent;
}

/** A client of the Docker Engine. Nothing is sent until it is used; the only place that constructs dockerode. */
export function connectEngine({ host, agent }: EngineOptions = {}): Docker {
  const endpoint = engineEndpoint(host);
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
    agent: agent ?? new EngineAgent({ endpoint, ahead: 0, clock: systemClock }),
    ...endpoint,
  };
  return new Docker(options);
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
