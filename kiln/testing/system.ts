import { randomBytes } from "node:crypto";

import { systemClock } from "../../core/clock.ts";
import { silentLog, type Log } from "../../core/log.ts";
import { createMetrics } from "../../core/metrics.ts";
import { buildExampleImages, type ExampleName } from "../../examples/functions/build.ts";
import { parseFunctions } from "../../gateway/functions/functions-yaml.ts";
import { createGateway } from "../../gateway/gateway.ts";
import { listen } from "../../gateway/listen.ts";
import type { Overrider } from "../../gateway/overrider.ts";
import { mtlsRunnerFactory } from "../../gateway/runnerpool/mtls-runner.ts";
import { naivePlacer } from "../../gateway/runnerpool/naive-placer.ts";
import { staticPool } from "../../gateway/runnerpool/static-pool.ts";
import { dockerDriver, type ContainerCreateOptions } from "../../runner/driver/docker/docker-driver.ts";
import type { Docker } from "../../runner/driver/docker/engine.ts";
import { createGuard, type Guard } from "../../runner/driver/docker/guard.ts";
import { socketDirectories } from "../../runner/hot/socket-directory.ts";
import { createRunner, type Runner, type RunnerOptions } from "../../runner/runner.ts";
import { createAuthority, issue } from "../pki.ts";
import { served } from "./process-runner.ts";

export interface SystemOptions {
  readonly docker: Docker;
  /** YAML of apps and functions, as in a functions file. */
  readonly functions: string;
  readonly images: readonly ExampleName[];
  readonly runners?: number;
  readonly overriders?: readonly Overrider[];
  readonly hooks?: RunnerOptions<ContainerCreateOptions>["hooks"];
  readonly runnerOverriders?: RunnerOptions<ContainerCreateOptions>["overriders"];
  readonly guard?: Guard;
  readonly log?: Log;
  readonly memoryMiB?: number;
}

/** A gateway and its runners with real TLS, real HTTP and real Docker between them, in this process. */
export interface System extends AsyncDisposable {
  /** `http://127.0.0.1:port` */
  readonly url: string;
  readonly runners: readonly Runner[];
  /** Invokes a function and reads the whole answer. */
  invoke(fnId: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<SystemAnswer>;
}

export interface SystemAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  json(): unknown;
}

export async function startSystem(options: SystemOptions): Promise<System> {
  const { docker, runners: count = 1, log = silentLog } = options;
  await buildExampleImages(docker, options.images);
  const authority = await createAuthority();
  await using made = new AsyncDisposableStack();
  const runners: Runner[] = [];
  const addresses: { address: string; certCommonName: string }[] = [];
  for (let i = 1; i <= count; i++) {
    const certCommonName = `runner-${i}`;
    const runner = await dockerRunner(certCommonName, options);
    const one = await served(runner, await issue(authority, { name: certCommonName, role: "runner" }), { log });
    made.use(one);
    runners.push(runner);
    addresses.push({ address: one.address, certCommonName });
  }
  const factory = mtlsRunnerFactory({
    gatewayId: "system",
    version: "0",
    allowNoIsolation: false,
    dialTimeoutMs: 5_000,
    drainMs: 1_000,
    clock: systemClock,
    log,
  });
  const pool = made.use(
    staticPool(addresses, await issue(authority, { name: "kiln-gateway", role: "gateway" }), factory),
  );
  const found = new Map(parseFunctions(options.functions, "system.yaml").map((one) => [one.fn.id, one]));
  const app = createGateway({
    functions: { find: async (id) => found.get(id) },
    placer: naivePlacer({ clock: systemClock, timeoutMs: 20_000, detachedTimeoutMs: 20_000, retryDelayMs: 10 }),
    pool,
    overriders: options.overriders ?? [],
    instruments: { log },
  });
  const listener = made.use(await listen(app, { host: "127.0.0.1", port: 0, drainTimeoutMs: 1_000 }));
  const url = `http://${listener.address}`;
  const owned = made.move();
  return {
    url,
    runners,
    invoke: (fnId, body = {}, headers = {}) => invoke(url, fnId, body, headers),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function dockerRunner(runnerId: string, options: SystemOptions): Promise<Runner> {
  const { docker, guard = createGuard(), log = silentLog, memoryMiB = 2_048 } = options;
  const bootId = randomBytes(8).toString("hex");
  const id = `testing-${process.pid}`;
  return createRunner({
    identity: { runnerId, bootId, version: "0" },
    driver: dockerDriver({ docker, guard, clock: systemClock, log, installation: { id, runnerId, bootId } }),
    hooks: options.hooks ?? [],
    overriders: options.runnerOverriders ?? [],
    resources: { memoryMiB, cpuMillis: 4_000 },
    directories: await socketDirectories({ installation: `${id}/${runnerId}`, bootId }),
    limits: {
      startTimeoutMs: 30_000,
      initTimeoutMs: 10_000,
      maxHeaderBytes: 65_536,
      startsAtOnce: 4,
      maxResponseBytes: 0,
      drainMs: 1_000,
    },
    host: { clock: systemClock, log, metrics: createMetrics() },
  });
}

async function invoke(
  url: string,
  fnId: string,
  body: unknown,
  headers: Readonly<Record<string, string>>,
): Promise<SystemAnswer> {
  const response = await fetch(`${url}/invoke/${fnId}`, { method: "POST", body: JSON.stringify(body), headers });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: () => JSON.parse(text) as unknown };
}
