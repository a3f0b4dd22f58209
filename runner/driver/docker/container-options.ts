import { join, relative } from "node:path";

import type { ContainerCreateOptions, HostConfig } from "dockerode";

import type { ContainerTask } from "../../../core/container-task.ts";
import type { ContainerPlace } from "../driver.ts";
import { tmpfsMiB, type Sandbox } from "./sandbox.ts";
import { syslogOptions } from "./syslog.ts";

/** All that a container's options are made of. */
export interface OptionSources {
  readonly task: ContainerTask;
  readonly place: ContainerPlace;
  readonly sandbox: Sandbox;
  readonly installation: Installation;
  /** Empty for Docker's default bridge. */
  readonly network: string;
}

/** Whose containers these are. The ids of installation, service and runner last, a boot id does not. */
export interface Installation {
  readonly id: string;
  /** What the runner is one of several of; by default it is its own. */
  readonly service?: string;
  readonly runnerId: string;
  readonly bootId: string;
}

/** One concern: what it adds to the options, `HostConfig` apart from the rest. */
type OptionBuilder = (sources: OptionSources) => {
  readonly config?: Omit<ContainerCreateOptions, "HostConfig">;
  readonly host?: CreateHostConfig;
};

/** Dockerode's type lacks a field that the Engine has had since 20.10. */
type CreateHostConfig = HostConfig & { CgroupnsMode?: "host" | "private" };

export const LABELS = {
  installation: "kiln.installation",
  service: "kiln.service",
  runner: "kiln.runner",
  boot: "kiln.boot",
  /** On holders of the prefork pool alone. */
  prefork: "kiln.prefork",
  fn: "kiln.fn",
} as const;

/** Where the function finds its socket directory. */
export const SOCKET_TARGET = "/tmp/iofs";

const MIB = 1_048_576;
const CPU_PERIOD_US = 100_000;
/** Docker takes no quota below a millisecond, so very small ones are counted over the longest period. */
const LONGEST_CPU_PERIOD_US = 1_000_000;

const name: OptionBuilder = ({ place }) => ({ config: { name: place.id } });

const image: OptionBuilder = ({ task }) => ({
  // An image's own health check would run commands beside the calls, as often as the image likes.
  config: { Image: task.image, Healthcheck: { Test: ["NONE"] } },
});

const labels: OptionBuilder = ({ task, installation }) => ({
  config: { Labels: { ...ownerLabels(installation), "kiln.app": task.appId, [LABELS.fn]: task.fnId } },
});

const memory: OptionBuilder = ({ task: { memoryMiB } }) => ({
  // MemorySwap is memory and swap together: the same number means no swap.
  host: { Memory: memoryMiB * MIB, MemorySwap: memoryMiB * MIB },
});

const cpu: OptionBuilder = ({ task: { cpuMillis } }) => {
  if (cpuMillis === 0) return {};
  const CpuPeriod = cpuMillis < 10 ? LONGEST_CPU_PERIOD_US : CPU_PERIOD_US;
  return { host: { CpuPeriod, CpuQuota: (cpuMillis * CpuPeriod) / 1_000 } };
};

const tmpfs: OptionBuilder = ({ task, sandbox }) => {
  const inodes = sandbox.tmpfsInodes > 0 ? `,nr_inodes=${sandbox.tmpfsInodes}` : "";
  const size = `size=${tmpfsMiB(task, sandbox)}m`;
  return { host: { Tmpfs: { "/tmp": `rw,nosuid,nodev,noexec,${size}${inodes},mode=1777` } } };
};

const rootFilesystem: OptionBuilder = ({ sandbox: { readonlyRoot, rootMiB } }) => {
  const limit = rootMiB === 0 ? {} : { StorageOpt: { size: `${rootMiB}M` } };
  return { host: { ReadonlyRootfs: readonlyRoot, ...limit } };
};

const privileges: OptionBuilder = ({ sandbox }) => ({
  config: { User: sandbox.user },
  host: { CapDrop: ["ALL"], SecurityOpt: ["no-new-privileges"] },
});

// The daemon's defaults differ by version and configuration; a shareable ipc namespace is one of them.
const namespaces: OptionBuilder = () => ({ host: { IpcMode: "private", CgroupnsMode: "private" } });

const processes: OptionBuilder = ({ sandbox }) => ({
  host: {
    PidsLimit: sandbox.pids,
    Ulimits: Object.entries(sandbox.ulimits).map(([Name, limit]) => ({ Name, Soft: limit, Hard: limit })),
    // Reaps what the function's children leave behind: zombies count against the pids limit.
    Init: true,
  },
});

const networking: OptionBuilder = ({ task, network }) => {
  if (task.networkDisabled) return { host: { NetworkMode: "none" } };
  return { host: { NetworkMode: network === "" ? "bridge" : network } };
};

const log: OptionBuilder = ({ task, sandbox }) => ({ host: { LogConfig: syslogOptions(task, sandbox.syslogCa) } });

const environment: OptionBuilder = ({ task }) => ({
  config: { Env: Object.entries(task.env).map(([key, value]) => `${key}=${value}`) },
});

const socketDirectory: OptionBuilder = ({ place, sandbox }) => ({
  host: {
    // A mount, not a bind string: Docker would create a missing directory for that, as root.
    Mounts: [
      { Type: "bind", Source: hostPath(place.socketDirectory, sandbox), Target: SOCKET_TARGET, ReadOnly: false },
    ],
  },
});

const runtime: OptionBuilder = ({ sandbox }) => (sandbox.runtime === "" ? {} : { host: { Runtime: sandbox.runtime } });

const BUILDERS: readonly OptionBuilder[] = [
  name,
  image,
  labels,
  memory,
  cpu,
  tmpfs,
  rootFilesystem,
  privileges,
  namespaces,
  processes,
  networking,
  log,
  environment,
  socketDirectory,
  runtime,
];

/** What tells this runner's containers, and those of its earlier boots, from all others. */
export function ownerLabels({ id, service, runnerId, bootId }: Installation): Record<string, string> {
  return {
    [LABELS.installation]: id,
    [LABELS.service]: service ?? runnerId,
    [LABELS.runner]: runnerId,
    [LABELS.boot]: bootId,
  };
}

/** Builds a container's options, fresh each time. */
export function containerOptions(sources: OptionSources): ContainerCreateOptions {
  const host: CreateHostConfig = {};
  const options: ContainerCreateOptions = { HostConfig: host };
  for (const build of BUILDERS) {
    const built = build(sources);
    Object.assign(options, built.config);
    Object.assign(host, built.host);
  }
  return options;
}

/** A path of the runner's as the daemon has it. */
export function hostPath(path: string, { socketPrefix }: Sandbox): string {
  if (socketPrefix === undefined) return path;
  const below = relative(socketPrefix.runner, path);
  if (below.startsWith("..")) {
    throw new TypeError(`Socket directory "${path}" is not below "${socketPrefix.runner}", so Docker cannot see it`);
  }
  return join(socketPrefix.docker, below);
}
