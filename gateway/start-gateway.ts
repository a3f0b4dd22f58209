import { hostname } from "node:os";
import { format, parse } from "node:path";

import { systemClock } from "../core/clock.ts";
import type { Settings } from "../core/config.ts";
import type { Log } from "../core/log.ts";
import { isLoopback } from "../core/loopback.ts";
import { createMetrics } from "../core/metrics.ts";
import { watchPki, type WatchedPki } from "../core/pki-watch.ts";
import { functions, loadPolicyFile } from "../core/policy-file.ts";
import type { Running, ServiceInput } from "../core/service.ts";
import { windowsOf } from "../core/session/receive-windows.ts";
import { VERSION } from "../core/version.ts";
import { metricsText, type Vitals } from "../core/workers/vitals.ts";
import { openFunctions } from "./functions/open-functions.ts";
import type { InvokeLimits } from "./invoke/limits.ts";
import { serveGateway } from "./listeners.ts";
import type { Overrider } from "./overrider.ts";
import { livePool } from "./runnerpool/discovery/live-pool.ts";
import type { EjectionLimits } from "./runnerpool/discovery/outliers.ts";
import type { RunnerSource } from "./runnerpool/discovery/runner-source.ts";
import { runnerSources } from "./runnerpool/discovery/runner-sources.ts";
import { mtlsRunnerFactory } from "./runnerpool/mtls-runner.ts";
import { createPlacer } from "./runnerpool/placers/create-placer.ts";
import { linesFile, type LinesFile } from "./runnerpool/placers/lines-file.ts";
import { RunnerNames } from "./runnerpool/runner-names.ts";
import type { Placer } from "./runnerpool/runnerpool.ts";
import type { GATEWAY_SETTINGS } from "./settings.ts";

type GatewaySettings = Settings<typeof GATEWAY_SETTINGS>;

/** Each try to reach a DNS server. */
const DNS_TIMEOUT_MS = 1_000;

/** Files that the command line names. */
type GatewayFiles = "overriders" | "log-placements";

export async function startGateway(input: ServiceInput<typeof GATEWAY_SETTINGS, GatewayFiles>): Promise<Running> {
  const { settings, options, log, worker } = input;
  await using made = new AsyncDisposableStack();
  const overriders = await loadOverriders(options.overriders);
  const pki = made.use(await followPki(settings, log));
  const { lookup, triggers, store } = made.use(await openFunctions(settings, log));
  const noted = options["log-placements"];
  const largestBytes = settings.FN_PLACEMENTS_MAX_SIZE;
  const placements =
    noted === undefined ? undefined : made.use(linesFile(ownFile(noted, worker?.number), { log, largestBytes }));
  const source = made.use(await followRunners(settings, log));
  const names = new RunnerNames(log);
  const factory = mtlsRunnerFactory({
    gatewayId: settings.FN_GATEWAY_ID || hostname(),
    version: VERSION,
    // Who can reach the gateway could run code beside everything else that this machine holds.
    allowNoIsolation: isLoopback(settings.FN_BIND),
    dialTimeoutMs: settings.FN_DIAL_TIMEOUT_MSECS,
    ping: { everyMs: settings.FN_PING_MSECS, timeoutMs: settings.FN_PING_TIMEOUT_MSECS },
    drainMs: settings.FN_DRAIN_MSECS,
    windows: windowsOf(settings),
    clock: systemClock,
    log,
    open: names.watch(),
  });
  const pool = made.use(livePool({ source, factory, pki, ejection: ejectionOf(settings), clock: systemClock, log }));
  const metrics = createMetrics();
  metrics.read("fn_runners_of_one_name", "Connected runners whose name another has too", () => [[names.shared]]);
  const vitals: Vitals = { metrics: () => metrics.collect(), readiness: () => pool.readiness() };
  const { whole = vitals } = worker ?? {};
  const served = await serveGateway(settings, {
    gateway: {
      functions: lookup,
      triggers,
      placer: placerOf(settings, placements),
      pool,
      overriders,
      limits: limitsOf(settings),
      ready: () => whole.readiness(),
      instruments: { clock: systemClock, log, metrics },
    },
    store,
    metrics,
    shownMetrics: metricsText(whole),
    shared: worker !== undefined,
    log,
  });
  made.use(served);
  const address = served.public.address;
  const admin = served.admin?.address;
  log.info("Gateway serves", { address, admin, runners: source.runners.map(({ address }) => address) });
  const owned = made.move();
  return {
    address,
    admin,
    vitals,
    hurry: () => served.public.hurry(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** A file is moved away when it is full, which two processes cannot do with the same: worker 2 has `FILE-2`, before its ending. */
function ownFile(path: string, worker: number | undefined): string {
  if (worker === undefined) return path;
  const { dir, name, ext } = parse(path);
  return format({ dir, name: `${name}-${worker}`, ext });
}

function followPki(settings: GatewaySettings, log: Log): Promise<WatchedPki> {
  const { FN_NODE_CERT: cert, FN_NODE_CERT_KEY: key, FN_NODE_CERT_AUTHORITY: ca } = settings;
  return watchPki({ cert, key, ca }, { log });
}

function followRunners(settings: GatewaySettings, log: Log): Promise<RunnerSource> {
  const { FN_RUNNER_ADDRESSES, FN_RUNNER_CERT_NAME, FN_RUNNER_DNS_SERVER, FN_RUNNER_DNS_MSECS } = settings;
  const dns = {
    server: FN_RUNNER_DNS_SERVER,
    everyMs: FN_RUNNER_DNS_MSECS,
    timeoutMs: DNS_TIMEOUT_MS,
    clock: systemClock,
    log,
  };
  return runnerSources(FN_RUNNER_ADDRESSES, { certName: FN_RUNNER_CERT_NAME, dns });
}

function ejectionOf(settings: GatewaySettings): EjectionLimits {
  return {
    failures: settings.FN_EJECT_FAILURES,
    baseMs: settings.FN_EJECT_MSECS,
    growth: settings.FN_EJECT_GROWTH,
    maxMs: settings.FN_EJECT_MAX_MSECS,
  };
}

async function loadOverriders(path: string | undefined): Promise<readonly Overrider[]> {
  if (path === undefined) return [];
  return (await loadPolicyFile(path, { overriders: functions<Overrider>() })).overriders;
}

function placerOf(settings: GatewaySettings, placements: LinesFile | undefined): Placer {
  return createPlacer({
    placer: settings.FN_PLACER,
    hashLoadFactor: settings.FN_PLACER_HASH_LOAD / 100,
    log: placements === undefined ? undefined : (line) => placements.write(line),
    queue: { perFunction: settings.FN_QUEUE_SIZE_PER_FUNCTION, total: settings.FN_QUEUE_SIZE },
    clock: systemClock,
    timeoutMs: settings.FN_PLACER_TIMEOUT_MSECS,
    detachedTimeoutMs: settings.FN_DETACHED_PLACER_TIMEOUT_MSECS,
    retryDelayMs: settings.FN_PLACER_RETRY_MSECS,
  });
}

function limitsOf(settings: GatewaySettings): InvokeLimits {
  return {
    maxRequestBytes: settings.FN_MAX_REQUEST_SIZE,
    maxBufferedBytes: settings.FN_MAX_BUFFERED_REQUEST_SIZE,
    bodyReadTimeoutMs: settings.FN_REQUEST_BODY_READ_TIMEOUT_MSECS,
    minBodyBytesPerSecond: settings.FN_REQUEST_BODY_MIN_RATE,
    placerTimeoutMs: settings.FN_PLACER_TIMEOUT_MSECS,
    detachedPlacerTimeoutMs: settings.FN_DETACHED_PLACER_TIMEOUT_MSECS,
    headroomMs: settings.FN_EXECUTION_HEADROOM,
    retryAfterSeconds: settings.FN_RETRY_AFTER_SECS,
  };
}
