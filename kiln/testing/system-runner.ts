import { randomBytes } from "node:crypto";

import { systemClock } from "../../core/clock.ts";
import { silentLog, type Log } from "../../core/log.ts";
import { createMetrics } from "../../core/metrics.ts";
import { dockerDriver, type ContainerCreateOptions } from "../../runner/driver/docker/docker-driver.ts";
import { enginePing, watchEngine, type EngineHealthOptions } from "../../runner/driver/docker/engine-health.ts";
import type { Docker } from "../../runner/driver/docker/engine.ts";
import { createGuard, type Guard } from "../../runner/driver/docker/guard.ts";
import type { ImageOptions } from "../../runner/driver/docker/images/images.ts";
import type { SweepDependencies } from "../../runner/driver/docker/leftovers.ts";
import { ensurePauseImage, PAUSE_COMMAND } from "../../runner/driver/docker/prefork/pause-image.ts";
import { openPrefork, type Prefork } from "../../runner/driver/docker/prefork/prefork.ts";
import { throughOutages } from "../../runner/driver/docker/through-outages.ts";
import { socketDirectories } from "../../runner/hot/socket-directory.ts";
import type { FunctionLogs } from "../../runner/logs/function-logs.ts";
import { createRunner, type Runner, type RunnerLimits, type RunnerOptions } from "../../runner/runner.ts";
import type { StatusOptions } from "../../runner/status/check-status.ts";
import { engineClient } from "./engine-client.ts";
import { processRunner } from "./process-runner.ts";

export interface SystemRunnerOptions {
  /** Without it functions are plain processes. */
  readonly docker?: Docker;
  /** Start hooks are Docker's; call hooks wrap the calls of plain processes too. */
  readonly hooks?: RunnerOptions<ContainerCreateOptions>["hooks"];
  readonly runnerOverriders?: RunnerOptions<ContainerCreateOptions>["overriders"];
  readonly guard?: Guard;
  readonly pulls?: ImageOptions;
  /** Namespaces that it holds ready. */
  readonly preforkPool?: number;
  /** Lets it live through outages of Docker, which it pings so. */
  readonly pings?: Pick<EngineHealthOptions, "everyMs" | "timeoutMs">;
  readonly runnerLimits?: Partial<RunnerLimits>;
  readonly status?: StatusOptions;
  readonly memoryMiB?: number;
  /** Where plain processes find their functions. */
  readonly functionsDirectory?: string;
  readonly log?: Log;
  /** Takes what functions write. */
  readonly logs?: FunctionLogs;
}

const LIMITS: RunnerLimits = {
  startTimeoutMs: 30_000,
  initTimeoutMs: 10_000,
  maxHeaderBytes: 65_536,
  startsAtOnce: 4,
  maxResponseBytes: 0,
  freezeIdleMs: 50,
  slotWaitMs: 5_000,
  mostWaiting: 1_000,
  drainMs: 1_000,
  removeMs: 30_000,
  freezeTimeoutMs: 5_000,
};

/** One runner of a system, not served yet. */
export async function systemRunner(runnerId: string, options: SystemRunnerOptions): Promise<Runner> {
  const { docker, hooks = [], runnerOverriders: overriders = [], log = silentLog, memoryMiB = 2_048 } = options;
  const resources = { memoryMiB, cpuMillis: 4_000 };
  const limits = { ...LIMITS, ...options.runnerLimits };
  if (docker === undefined) {
    const { functionsDirectory = "examples/functions" } = options;
    const callHooks = hooks.flatMap(({ call }) => (call === undefined ? [] : [{ call }]));
    return processRunner({ runnerId, hooks: callHooks, overriders, resources, limits, functionsDirectory, log });
  }
  const { guard = createGuard(), pulls = {}, pings } = options;
  const bootId = randomBytes(8).toString("hex");
  const id = `testing-${process.pid}`;
  const installation = { id, runnerId, bootId };
  const host = { ...engineClient(docker), installation, log };
  const { logs } = options;
  const output = logs === undefined ? {} : { output: logs };
  const prefork = preforkFor(host, options.preforkPool);
  const plain = dockerDriver({ ...host, guard, images: pulls, prefork, ...output });
  const driver =
    pings === undefined
      ? plain
      : throughOutages(plain, {
          ...host,
          health: watchEngine(enginePing(docker), { ...host, ...pings }),
          recovered: () => prefork?.retry(),
        });
  return createRunner({
    identity: { runnerId, bootId, version: "0" },
    driver,
    hooks,
    overriders,
    resources,
    logs,
    ...(options.status === undefined ? {} : { status: options.status }),
    directories: await socketDirectories({ installation: `${id}/${runnerId}`, bootId }),
    limits,
    host: { clock: systemClock, log, metrics: createMetrics() },
  });
}

function preforkFor(host: SweepDependencies, size = 0): Prefork | undefined {
  if (size === 0) return undefined;
  const program = async () => ({ image: await ensurePauseImage(host), command: PAUSE_COMMAND });
  const prefork = openPrefork({ size, useOnce: true, networks: [], program }, { ...host, metrics: createMetrics() });
  prefork.open();
  return prefork;
}
