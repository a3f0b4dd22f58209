import { connectEngine, pingEngine, type Docker } from "../../runner/driver/docker/engine.ts";

export interface DockerForTests {
  readonly engine: Docker;
  /** As DOCKER_HOST has it. */
  readonly host: string;
  /** Why tests cannot use it; false where they can. */
  readonly skip: string | false;
}

const PING_MS = 5_000;

/**
 * Looks for a Docker daemon, for `describe(…, { skip }, …)`. Where CI is "true" a missing one is an error:
 * a pipeline that silently skips half of its tests shows nothing.
 */
export async function dockerOrSkip(environment: NodeJS.ProcessEnv = process.env): Promise<DockerForTests> {
  const host = environment["DOCKER_HOST"] ?? "unix:///var/run/docker.sock";
  const engine = connectEngine({ host });
  if ((await pingEngine(engine, PING_MS)) !== undefined) return { engine, host, skip: false };
  const skip = `no Docker daemon answers at ${host}`;
  if (environment["CI"] === "true") throw new Error(`Cannot test with Docker: ${skip}, and CI is "true"`);
  return { engine, host, skip };
}
