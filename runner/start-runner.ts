import { randomBytes } from "node:crypto";
import { availableParallelism, hostname } from "node:os";

import { systemClock } from "../core/clock.ts";
import type { Settings } from "../core/config.ts";
import type { Log } from "../core/log.ts";
import { createMetrics, type Metrics } from "../core/metrics.ts";
import { watchPki, type WatchedPki } from "../core/pki-watch.ts";
import { functions, loadPolicyFile } from "../core/policy-file.ts";
import type { Running, ServiceInput } from "../core/service.ts";
import { windowsOf } from "../core/session/receive-windows.ts";
import { VERSION } from "../core/version.ts";
import { runnerVitals, serveRunnerAdmin } from "./admin.ts";
import type { RunnerOverrider } from "./calls/call-run.ts";
import { claimName, type RunnerName } from "./claim-name.ts";
import type { DrainReport } from "./drain.ts";
import { openDocker } from "./driver/docker/open.ts";
import type { Driver, DriverHook, RunCall, Start } from "./driver/driver.ts";
import { processDriver } from "./driver/process/process-driver.ts";
import { socketDirectories, type SocketDirectories } from "./hot/socket-directory.ts";
import { FunctionLogs, type LogLimits } from "./logs/function-logs.ts";
import { logSink } from "./logs/log-sink.ts";
import { runnerResources } from "./machine.ts";
import { serveRunner } from "./rpc/server.ts";
import { createRunner, type RunnerIdentity, type RunnerLimits } from "./runner.ts";
import { formerRunners, serviceOf } from "./service-name.ts";
import type { RUNNER_SETTINGS } from "./settings.ts";
import { partOfMachine } from "./share-runner.ts";
import type { HealthCheck } from "./status/check-status.ts";

type RunnerSettings = Settings<typeof RUNNER_SETTINGS>;

/** Files that the command line names. */
type RunnerFiles = "hooks" | "guard";

export async function startRunner(input: ServiceInput<typeof RUNNER_SETTINGS, RunnerFiles>): Promise<Running> {
  const { settings, options, log, worker } = input;
  const bootId = randomBytes(8).toString("hex");
  // Two runners of one name would take each other's containers for leftovers.
  const runnerId = settings.FN_RUNNER_ID || `${hostname()}-${settings.FN_GRPC_PORT || bootId}`;
  const identity = { runnerId, bootId, version: VERSION };
  const metrics = createMetrics();
  const logs = new FunctionLogs({ clock: systemClock, sink: logSink(settings, log), limits: logLimitsOf(settings) });
  const name = nameOf(identity, settings, worker?.number);
  const parts = { identity, name, logs, metrics };
  if (settings.FN_DRIVER === "docker") {
    const opening = { service: name.service, guardFile: options.guard, log, metrics, output: logs };
    return serve(await openDocker(settings, identity, opening), parts, input);
  }
  const driver = processDriver({ functionsDirectory: settings.FN_PROCESS_FUNCTIONS, output: logs });
  return serve(driver, parts, input);
}

interface RunnerParts {
  readonly identity: RunnerIdentity;
  readonly name: RunnerName;
  readonly logs: FunctionLogs;
  readonly metrics: Metrics;
}

async function serve<Options>(
  driver: Driver<Options>,
  { identity, name, logs, metrics }: RunnerParts,
  { settings, options, log, worker }: ServiceInput<typeof RUNNER_SETTINGS, RunnerFiles>,
): Promise<Running> {
  await using owned = new AsyncDisposableStack();
  await using made = new AsyncDisposableStack();
  made.use(driver);
  const { hooks, overriders, healthChecks } = await loadHooks<Options>(options.hooks);
  const pki = owned.use(await followPki(settings, log));
  const open = () => openDirectories(name, identity, { driver, settings, log });
  // Only containers can outlive their runner, and be taken for another's.
  const isNamed = driver.removeLeftovers !== undefined;
  const { claimed, directories } = isNamed
    ? await claimName(name, open)
    : { claimed: undefined, directories: await open() };
  // The name is given back after the runner that has it is gone.
  owned.use(claimed);
  made.use(directories);
  const runner = createRunner({
    identity,
    driver,
    hooks,
    overriders,
    resources: worker === undefined ? runnerResources(settings) : partOfMachine(settings),
    directories,
    logs,
    status: {
      image: settings.FN_STATUS_IMAGE,
      networkBarrier: settings.FN_STATUS_NETWORK_BARRIER,
      networkBarrierMs: settings.FN_STATUS_NETWORK_BARRIER_MSECS,
      healthChecks,
    },
    limits: limitsOf(settings),
    host: { clock: systemClock, log, metrics },
  });
  // It owns the driver and the directories from here on.
  made.move();
  owned.use(runner);
  const server = await serveRunner({
    runner,
    pki,
    gatewayIdentities: settings.FN_GATEWAY_IDENTITIES,
    host: settings.FN_BIND,
    port: settings.FN_GRPC_PORT,
    ping: { everyMs: settings.FN_PING_MSECS, timeoutMs: settings.FN_PING_TIMEOUT_MSECS },
    drainMs: settings.FN_DRAIN_MSECS,
    windows: windowsOf(settings),
    log,
  });
  owned.use(server);
  const vitals = runnerVitals(runner, driver, metrics);
  const admin = await serveRunnerAdmin(settings, worker?.whole ?? vitals, { log, shared: worker !== undefined });
  if (admin !== undefined) owned.use(admin);
  // One of the workers does it for all.
  const former = name.worker > 1 ? undefined : formerRunners(name, worker?.count ?? 1, directories);
  await driver.removeLeftovers?.(former);
  announce(log, identity, driver, settings);
  const all = owned.move();
  return {
    address: `${server.host}:${server.port}`,
    admin: admin?.address,
    vitals,
    hurry() {
      runner.hurry();
      server.hurry();
    },
    exitCode: () => exitCodeOf(runner.report()),
    async [Symbol.asyncDispose]() {
      // Its gateways hear of the calls' ends before their connections go.
      await Promise.allSettled([runner[Symbol.asyncDispose]()]);
      // This tells of the runner's failure as well.
      await all.disposeAsync();
    },
  };
}

function nameOf({ runnerId }: RunnerIdentity, settings: RunnerSettings, worker = 0): RunnerName {
  const { FN_INSTALLATION_ID: installation, DOCKER_HOST: host } = settings;
  return { installation, service: serviceOf(runnerId, worker), worker, runnerId, host };
}

function openDirectories(
  { installation, service, worker, host }: RunnerName,
  { bootId }: RunnerIdentity,
  {
    driver,
    settings,
    log,
  }: { readonly driver: Pick<Driver, "sees">; readonly settings: RunnerSettings; readonly log: Log },
): Promise<SocketDirectories> {
  return socketDirectories({
    parent: settings.FN_IOFS_PATH || undefined,
    // As the name is claimed: a living peer has all of the same.
    installation: [installation, service, host].join("/"),
    worker,
    bootId,
    tmpfs: {
      wanted: settings.FN_IOFS_TMPFS,
      options: settings.FN_IOFS_OPTS,
      sees: async (path) => (await driver.sees?.(path)) ?? true,
    },
    spare: settings.FN_IOFS_SPARE,
    log,
  });
}

function followPki(settings: RunnerSettings, log: Log): Promise<WatchedPki> {
  const { FN_NODE_CERT: cert, FN_NODE_CERT_KEY: key, FN_NODE_CERT_AUTHORITY: ca } = settings;
  return watchPki({ cert, key, ca }, { log });
}

/** Documented in README: a supervisor may tell them apart. */
function exitCodeOf(report: DrainReport | undefined): number {
  if (report === undefined || report.leftContainers > 0) return 1;
  return report.cutCalls > 0 ? 3 : 0;
}

interface Policies<Options> {
  readonly hooks: readonly DriverHook<Options>[];
  readonly overriders: readonly RunnerOverrider[];
  readonly healthChecks: readonly HealthCheck[];
}

async function loadHooks<Options>(path: string | undefined): Promise<Policies<Options>> {
  if (path === undefined) return { hooks: [], overriders: [], healthChecks: [] };
  const { startHooks, callHooks, runnerOverriders, healthChecks } = await loadPolicyFile(path, {
    startHooks: functions<(next: Start<Options>) => Start<Options>>(),
    callHooks: functions<(next: RunCall) => RunCall>(),
    runnerOverriders: functions<RunnerOverrider>(),
    healthChecks: functions<HealthCheck>(),
  });
  const hooks = [...startHooks.map((start) => ({ start })), ...callHooks.map((call) => ({ call }))];
  return { hooks, overriders: runnerOverriders, healthChecks };
}

function logLimitsOf(settings: RunnerSettings): LogLimits {
  return {
    maxCallBytes: settings.FN_MAX_LOG_SIZE_BYTES,
    maxReaders: settings.FN_LOG_READERS,
    maxReaderBytes: settings.FN_LOG_READER_BYTES,
  };
}

function limitsOf(settings: RunnerSettings): RunnerLimits {
  return {
    startTimeoutMs: settings.FN_CREATE_TIMEOUT_MSECS,
    initTimeoutMs: settings.FN_HOT_START_TIMEOUT_MSECS,
    maxHeaderBytes: settings.FN_MAX_HDR_RESPONSE_SIZE,
    startsAtOnce: settings.FN_MAX_CONCURRENT_STARTS || 2 * availableParallelism(),
    maxResponseBytes: settings.FN_MAX_RESPONSE_SIZE,
    freezeIdleMs: settings.FN_FREEZE_IDLE_MSECS,
    slotWaitMs: settings.FN_MAX_SLOT_WAIT_MSECS,
    mostWaiting: settings.FN_MAX_WAITING_CALLS,
    drainMs: settings.FN_DRAIN_MSECS,
    removeMs: settings.FN_DRAIN_REMOVE_MSECS,
    freezeTimeoutMs: settings.FN_FREEZE_TIMEOUT_MSECS,
  };
}

function announce(
  log: Log,
  { runnerId }: RunnerIdentity,
  driver: { name: string; isolation: string },
  settings: RunnerSettings,
): void {
  log.info("Runner serves", {
    runner: runnerId,
    driver: driver.name,
    isolation: driver.isolation,
    bind: settings.FN_BIND,
  });
}
