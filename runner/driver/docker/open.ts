import { systemClock } from "../../../core/clock.ts";
import type { Settings } from "../../../core/config.ts";
import type { Log } from "../../../core/log.ts";
import type { Metrics } from "../../../core/metrics.ts";
import type { RunnerIdentity } from "../../runner.ts";
import type { RUNNER_SETTINGS } from "../../settings.ts";
import type { Driver, FunctionOutput } from "../driver.ts";
import { checkSandbox } from "./check-sandbox.ts";
import { dockerDriver, type ContainerCreateOptions } from "./docker-driver.ts";
import { EngineAgent } from "./engine-agent.ts";
import type { EngineClient } from "./engine-call.ts";
import { engineEndpoint } from "./engine-endpoint.ts";
import { enginePing, watchEngine } from "./engine-health.ts";
import { connectEngine, isOlderThan, pingEngine, type Docker } from "./engine.ts";
import { watchGuard } from "./guard-file.ts";
import { createGuard } from "./guard.ts";
import { imageOptions } from "./images/image-settings.ts";
import { loadImages } from "./images/load-images.ts";
import { watchRegistryAuths } from "./images/registry-auths-file.ts";
import { removeFormer, removeLeftovers } from "./leftovers.ts";
import { preforkOf } from "./prefork/prefork-settings.ts";
import type { Sandbox } from "./sandbox.ts";
import { throughOutages } from "./through-outages.ts";

type RunnerSettings = Settings<typeof RUNNER_SETTINGS>;

/** The first that can give a container a cgroup namespace of its own. */
const OLDEST_DOCKER = "20.10.0";

/** Those of two starts. */
const CONNECTIONS_AHEAD = 10;

export interface OpenOptions {
  /** What the runner is one of several of; by default it is its own. */
  readonly service?: string;
  readonly guardFile: string | undefined;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly output: FunctionOutput;
}

/** The docker driver as the settings say. @throws Error if Docker is away, or for a broken guard file */
export async function openDocker(
  settings: RunnerSettings,
  { runnerId, bootId }: RunnerIdentity,
  { service = runnerId, guardFile, log, metrics, output }: OpenOptions,
): Promise<Driver<ContainerCreateOptions>> {
  await using made = new AsyncDisposableStack();
  const agent = made.use(
    new EngineAgent({ endpoint: engineEndpoint(settings.DOCKER_HOST), ahead: CONNECTIONS_AHEAD, clock: systemClock }),
  );
  const client = clientOf(settings, agent);
  const { docker } = client;
  const version = await pingEngine(docker, settings.FN_DOCKER_PING_TIMEOUT_MSECS);
  if (version === undefined) {
    throw new Error(
      `Cannot start: Docker does not answer at ${settings.DOCKER_HOST} (DOCKER_HOST), or set FN_DRIVER=process`,
    );
  }
  if (isOlderThan(version, OLDEST_DOCKER)) {
    throw new Error(`Cannot start: docker version is too old. Required: ${OLDEST_DOCKER} Found: ${version}`);
  }
  await checkSandbox(client, { rootMiB: settings.FN_MAX_FS_SIZE_MB, runtime: settings.FN_DOCKER_RUNTIME });
  const installation = { id: settings.FN_INSTALLATION_ID, service, runnerId, bootId };
  const host = { ...client, installation, log };
  const guard = guardFile === undefined ? createGuard() : made.use(await watchGuard(guardFile, log, systemClock));
  const source = { inline: settings.FN_DOCKER_AUTH, directory: settings.DOCKER_CONFIG };
  const auths = made.use(await watchRegistryAuths(source, { log, clock: systemClock }));
  const everybodys = await loaded(docker, settings.FN_DOCKER_LOAD_FILE, log);
  const prefork = preforkOf(settings, { ...host, metrics }, auths);
  const plain = dockerDriver({
    ...host,
    guard,
    output,
    prefork,
    sandbox: sandboxOf(settings),
    images: imageOptions(settings, auths, everybodys),
  });
  const health = watchEngine(enginePing(docker), {
    everyMs: settings.FN_DOCKER_PING_MSECS,
    timeoutMs: settings.FN_DOCKER_PING_TIMEOUT_MSECS,
    clock: systemClock,
    log,
  });
  const driver = made.use(throughOutages(plain, { ...host, health, recovered: () => prefork?.retry() }));
  const owned = made.move();
  return {
    ...driver,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
    async removeLeftovers(former) {
      const own = await removeLeftovers(host);
      const containers = own + (former === undefined ? 0 : await removeFormer(host, former));
      if (containers > 0) log.info("Removed what an earlier run left behind", { containers });
      // Not before: what was left behind has places on the networks.
      prefork?.open();
    },
  };
}

/** All that asks this Engine for anything has these limits. */
function clientOf(settings: RunnerSettings, agent: EngineAgent): EngineClient {
  return {
    docker: connectEngine({ host: settings.DOCKER_HOST, agent }),
    clock: systemClock,
    timeouts: {
      requestMs: settings.FN_DOCKER_TIMEOUT_MSECS,
      removeMs: settings.FN_DOCKER_REMOVE_TIMEOUT_MSECS,
    },
  };
}

/** The ids of the images in a file that the operator wants loaded. @throws Error naming it */
async function loaded(docker: Docker, file: string, log: Log): Promise<ReadonlySet<string>> {
  if (file === "") return new Set();
  const { ids, names } = await loadImages(docker, file);
  log.info("Loaded images", { file, images: names });
  return ids;
}

function sandboxOf(settings: RunnerSettings): Partial<Sandbox> {
  const { FN_IOFS_PATH: inRunner, FN_IOFS_DOCKER_PATH: inDocker } = settings;
  return {
    pids: settings.FN_MAX_PIDS,
    ulimits: {
      nofile: settings.FN_MAX_OPEN_FILES,
      memlock: settings.FN_MAX_LOCKED_MEMORY,
      sigpending: settings.FN_MAX_PENDING_SIGNALS,
      msgqueue: settings.FN_MAX_MESSAGE_QUEUE,
    },
    readonlyRoot: !settings.FN_DISABLE_READONLY_ROOTFS,
    rootMiB: settings.FN_MAX_FS_SIZE_MB,
    runtime: settings.FN_DOCKER_RUNTIME,
    defaultTmpfsMiB: settings.FN_TMPFS_DEFAULT_MB,
    tmpfsInodes: settings.FN_MAX_TMPFS_INODES,
    networks: plainNetworks(settings),
    syslogCa: settings.FN_SYSLOG_TLS_CA,
    socketPrefix: inRunner !== "" && inDocker !== "" ? { runner: inRunner, docker: inDocker } : undefined,
  };
}

/** Where the pool is on networks of its own, a container that gets none of its namespaces is no less apart than the others. */
function plainNetworks(settings: RunnerSettings): readonly string[] {
  const { FN_DOCKER_NETWORKS: own, FN_EXPERIMENTAL_PREFORK_NETWORKS: pool } = settings;
  const pooled = settings.FN_EXPERIMENTAL_PREFORK_POOL_SIZE > 0;
  return own.length === 0 && pooled ? pool : own;
}
