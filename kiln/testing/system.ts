import { systemClock } from "../../core/clock.ts";
import { silentLog, type Log } from "../../core/log.ts";
import { buildExampleImages, type ExampleName } from "../../examples/functions/build.ts";
import { parseFunctions } from "../../gateway/functions/functions-yaml.ts";
import { createGateway } from "../../gateway/gateway.ts";
import type { InvokeLimits } from "../../gateway/invoke/limits.ts";
import { listen } from "../../gateway/listen.ts";
import type { Overrider } from "../../gateway/overrider.ts";
import { mtlsRunnerFactory } from "../../gateway/runnerpool/mtls-runner.ts";
import { naivePlacer } from "../../gateway/runnerpool/naive-placer.ts";
import type { RunnerLabels, RunnerPool } from "../../gateway/runnerpool/runnerpool.ts";
import { type RunnerAddress, staticPool } from "../../gateway/runnerpool/static-pool.ts";
import type { Runner } from "../../runner/runner.ts";
import { createAuthority, issue, type Authority } from "../pki.ts";
import { served, type ServedRunner } from "./process-runner.ts";
import { systemRunner, type SystemRunnerOptions } from "./system-runner.ts";

export interface SystemOptions extends SystemRunnerOptions {
  /** YAML of apps and functions, as in a functions file. */
  readonly functions: string;
  /** Example images that Docker must have. */
  readonly images?: readonly ExampleName[];
  readonly runners?: number;
  /** What calls may choose them by, the first runner's first. */
  readonly labels?: readonly RunnerLabels[];
  readonly overriders?: readonly Overrider[];
  readonly gatewayLimits?: Partial<InvokeLimits>;
  /** Makes each runner, in place of the usual one. */
  readonly makeRunner?: (runnerId: string) => Promise<Runner>;
  /** How long the gateway's calls may go on once it is stopped. */
  readonly gatewayDrainMs?: number;
  /** Puts the operator's own pool in the place of the one that lists the runners. */
  readonly pool?: (listed: RunnerPool) => RunnerPool;
  readonly log?: Log;
}

/** A gateway and its runners with real TLS and real HTTP between them, in this process. */
export interface System extends AsyncDisposable {
  /** `http://127.0.0.1:port` */
  readonly url: string;
  readonly runners: readonly Runner[];
  /** The same with their servers: disposing of a server cuts its connections under the calls on them. */
  readonly members: readonly ServedRunner[];
  /** Who signs the certificates of all of it: other processes may join. */
  readonly authority: Authority;
  /** Stops the gateway as its main file does, and leaves the runners. */
  stopGateway(): Promise<void>;
  /** Invokes a function and reads the whole answer. */
  invoke(fnId: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<SystemAnswer>;
}

export interface SystemAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  json(): unknown;
}

const PLACER_TIMEOUT_MS = 20_000;

/** Starts a system whose functions run in Docker, or as plain processes where it is given none. */
export async function startSystem(options: SystemOptions): Promise<System> {
  const { docker, images = [], runners: count = 1, labels = [], log = silentLog } = options;
  const { makeRunner = (runnerId: string) => systemRunner(runnerId, options) } = options;
  if (docker !== undefined) await buildExampleImages(docker, images);
  const authority = await createAuthority();
  await using made = new AsyncDisposableStack();
  const members: ServedRunner[] = [];
  const addresses: RunnerAddress[] = [];
  for (let i = 1; i <= count; i++) {
    const certCommonName = `runner-${i}`;
    const runner = await makeRunner(certCommonName);
    const one = await served(runner, await issue(authority, { name: certCommonName, role: "runner" }), { log });
    made.use(one);
    members.push(one);
    addresses.push({ address: one.address, certCommonName, labels: labels[i - 1] ?? {} });
  }
  const factory = mtlsRunnerFactory({
    gatewayId: "system",
    version: "0",
    allowNoIsolation: docker === undefined,
    dialTimeoutMs: 5_000,
    drainMs: 1_000,
    clock: systemClock,
    log,
  });
  const pki = await issue(authority, { name: "kiln-gateway", role: "gateway" });
  const gateway = made.use(await startGateway(staticPool(addresses, pki, factory), options));
  const owned = made.move();
  return {
    url: gateway.url,
    runners: members.map(({ runner }) => runner),
    members,
    authority,
    async stopGateway() {
      await gateway[Symbol.asyncDispose]();
    },
    invoke: (fnId, body = {}, headers = {}) => invoke(gateway.url, fnId, body, headers),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function startGateway(
  listed: RunnerPool,
  options: SystemOptions,
): Promise<AsyncDisposable & { readonly url: string }> {
  const { overriders = [], gatewayLimits = {}, gatewayDrainMs = 1_000, log = silentLog } = options;
  await using made = new AsyncDisposableStack();
  const pool = made.use(listed);
  const { placerTimeoutMs = PLACER_TIMEOUT_MS, detachedPlacerTimeoutMs = PLACER_TIMEOUT_MS } = gatewayLimits;
  const found = new Map(parseFunctions(options.functions, "system.yaml").map((one) => [one.fn.id, one]));
  const stopping = new AbortController();
  const app = createGateway({
    functions: { find: async (id) => found.get(id) },
    placer: naivePlacer({
      clock: systemClock,
      timeoutMs: placerTimeoutMs,
      detachedTimeoutMs: detachedPlacerTimeoutMs,
      retryDelayMs: 10,
    }),
    pool: options.pool?.(pool) ?? pool,
    overriders,
    limits: gatewayLimits,
    stopping: stopping.signal,
    instruments: { log },
  });
  const lastCall = () => stopping.abort();
  const listener = made.use(
    await listen(app, { host: "127.0.0.1", port: 0, drainTimeoutMs: gatewayDrainMs, lastCall }),
  );
  const owned = made.move();
  return { url: `http://${listener.address}`, [Symbol.asyncDispose]: () => owned.disposeAsync() };
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
