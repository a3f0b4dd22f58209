import { randomBytes } from "node:crypto";

import { systemClock } from "../../core/clock.ts";
import { silentLog, type Log } from "../../core/log.ts";
import { createMetrics, type Metrics } from "../../core/metrics.ts";
import type { PkiData, PkiSource } from "../../core/pki.ts";
import type { ProcessOptions } from "../../runner/driver/process/process-driver.ts";
import { processDriver } from "../../runner/driver/process/process-driver.ts";
import { socketDirectories } from "../../runner/hot/socket-directory.ts";
import { FunctionLogs } from "../../runner/logs/function-logs.ts";
import { serveRunner, type RunnerServer, type RunnerServerOptions } from "../../runner/rpc/server.ts";
import { createRunner, type Runner, type RunnerLimits, type RunnerOptions } from "../../runner/runner.ts";

export const PROCESS_LIMITS: RunnerLimits = {
  startTimeoutMs: 10_000,
  initTimeoutMs: 5_000,
  maxHeaderBytes: 64 * 1024,
  startsAtOnce: 4,
  maxResponseBytes: 0,
  freezeIdleMs: 50,
  slotWaitMs: 5_000,
  mostWaiting: 1_000,
  drainMs: 1_000,
  removeMs: 30_000,
  freezeTimeoutMs: 5_000,
};

export interface ProcessRunnerOptions extends Partial<
  Pick<RunnerOptions<ProcessOptions>, "hooks" | "overriders" | "resources" | "status">
> {
  readonly runnerId?: string;
  readonly limits?: Partial<RunnerLimits>;
  /** By default the examples. */
  readonly functionsDirectory?: string;
  readonly log?: Log;
  readonly logs?: FunctionLogs;
  readonly metrics?: Metrics;
}

/** A runner of example functions as plain processes, in this process. */
export async function processRunner(options: ProcessRunnerOptions = {}): Promise<Runner> {
  const { runnerId = "runner", limits, resources = { memoryMiB: 1_024, cpuMillis: 2_000 }, ...others } = options;
  const { functionsDirectory = "examples/functions", log = silentLog, ...policies } = others;
  const { metrics = createMetrics() } = options;
  const { logs = new FunctionLogs({ clock: systemClock }) } = options;
  const bootId = randomBytes(8).toString("hex");
  return createRunner({
    identity: { runnerId, bootId, version: "0" },
    driver: processDriver({ functionsDirectory, output: logs }),
    logs,
    resources,
    directories: await socketDirectories({ installation: `testing-${process.pid}`, bootId }),
    limits: { ...PROCESS_LIMITS, ...limits },
    host: { clock: systemClock, log, metrics },
    ...policies,
  });
}

export interface ServedRunner extends AsyncDisposable {
  readonly runner: Runner;
  readonly server: RunnerServer;
  readonly address: string;
}

export interface ServeOptions extends Pick<RunnerServerOptions, "ping" | "drainMs"> {
  readonly gatewayIdentities?: readonly string[];
  readonly log?: Log;
  readonly port?: number;
}

/** Serves a runner on a free loopback port. Disposing it drains the runner and closes the server. */
export async function served(
  runner: Runner,
  pki: PkiData | PkiSource,
  options: ServeOptions = {},
): Promise<ServedRunner> {
  const { gatewayIdentities = ["kiln-gateway"], log = silentLog, port = 0, ...rest } = options;
  const server = await serveRunner({ ...rest, runner, pki, gatewayIdentities, host: "127.0.0.1", port, log });
  return {
    runner,
    server,
    address: `127.0.0.1:${server.port}`,
    async [Symbol.asyncDispose]() {
      await runner[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}
