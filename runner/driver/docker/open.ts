import { systemClock } from "../../../core/clock.ts";
import type { Settings } from "../../../core/config.ts";
import type { Log } from "../../../core/log.ts";
import type { RunnerIdentity } from "../../runner.ts";
import type { RUNNER_SETTINGS } from "../../settings.ts";
import type { Driver } from "../driver.ts";
import { dockerDriver, type ContainerCreateOptions } from "./docker-driver.ts";
import { engineReadiness } from "./engine-readiness.ts";
import { connectEngine, pingEngine } from "./engine.ts";
import { watchGuard } from "./guard-file.ts";
import { createGuard } from "./guard.ts";
import { removeLeftovers } from "./leftovers.ts";
import type { Sandbox } from "./sandbox.ts";

type RunnerSettings = Settings<typeof RUNNER_SETTINGS>;

const PING_MS = 5_000;

/** The docker driver as the settings say. @throws Error if Docker is away, or for a broken guard file */
export async function openDocker(
  settings: RunnerSettings,
  { runnerId, bootId }: RunnerIdentity,
  guardFile: string | undefined,
  log: Log,
): Promise<Driver<ContainerCreateOptions>> {
  const docker = connectEngine({ host: settings.DOCKER_HOST });
  const version = await pingEngine(docker, PING_MS);
  if (version === undefined) {
    throw new Error(
      `Cannot start: Docker does not answer at ${settings.DOCKER_HOST} (DOCKER_HOST), or set FN_DRIVER=process`,
    );
  }
  const installation = { id: settings.FN_INSTALLATION_ID, runnerId, bootId };
  const guard = guardFile === undefined ? createGuard() : await watchGuard(guardFile, log, systemClock);
  const driver = dockerDriver({
    docker,
    installation,
    guard,
    clock: systemClock,
    log,
    sandbox: sandboxOf(settings),
    images: { pullTimeoutMs: settings.FN_HOT_PULL_TIMEOUT_MSECS, allowVolumes: settings.FN_IMAGE_ENABLE_VOLUME },
  });
  return {
    ...driver,
    readiness: engineReadiness(docker, settings.DOCKER_HOST, systemClock),
    async removeLeftovers() {
      const containers = await removeLeftovers(docker, installation, { clock: systemClock, log });
      if (containers > 0) log.info("Removed what an earlier run left behind", { containers });
    },
  };
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
    defaultTmpfsMiB: settings.FN_TMPFS_DEFAULT_MB,
    tmpfsInodes: settings.FN_MAX_TMPFS_INODES,
    networks: settings.FN_DOCKER_NETWORKS,
    socketPrefix: inRunner !== "" && inDocker !== "" ? { runner: inRunner, docker: inDocker } : undefined,
  };
}
