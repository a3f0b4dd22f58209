import { readdir, readFile, rm } from "node:fs/promises";

import type { Docker } from "../../runner/driver/docker/engine.ts";
import { eventually } from "../testing/eventually.ts";
import type { Started } from "../testing/started.ts";

/** What a system holds at one moment. */
export interface Counts {
  readonly containers: number;
  readonly socketDirectories: number;
  /** How many of them belong to no container: the runner mounts these ahead, if it can mount any. */
  readonly spareDirectories: number;
  /** Of the runner's own account. */
  readonly runner: { readonly queued: number; readonly running: number; readonly bookedBytes: number };
  readonly gateway: ProcessCounts;
  readonly runnerProcess: ProcessCounts;
}

export interface ProcessCounts {
  readonly files: number;
  readonly threads: number;
  readonly residentMiB: number;
  /** What keeps its event loop busy, by kind: timers that hold it, sockets, servers. */
  readonly resources: Readonly<Record<string, number>>;
}

export interface Counted {
  readonly kiln: Started;
  readonly docker: Docker;
  /** Where report-resources.ts writes to. */
  readonly resourceFiles: string;
  /** The runner's FN_IOFS_SPARE. */
  readonly spareDirectories: number;
}

/** A runner logs this where it can mount none, and so makes none ahead. */
const NO_MOUNTS = "Socket directories have no file systems of their own";

export async function countAll({ kiln, docker, resourceFiles, spareDirectories }: Counted): Promise<Counts> {
  const { sockets, processes } = await kiln.traces();
  const filters = JSON.stringify({ label: [`kiln.runner=${kiln.runnerId}`] });
  const [containers, gateway, runner] = await Promise.all([
    docker.listContainers({ all: true, filters }),
    mainProcess(processes, "gateway/main.ts"),
    mainProcess(processes, "runner/main.ts"),
  ]);
  const home = sockets[0];
  const below = home === undefined ? [] : await kiln.socketDirectories(home);
  return {
    containers: containers.length,
    socketDirectories: below.length,
    spareDirectories: kiln.output().includes(NO_MOUNTS) ? 0 : spareDirectories,
    runner: await runnerAccount(kiln.output()),
    gateway: await processCounts(gateway, resourceFiles),
    runnerProcess: await processCounts(runner, resourceFiles),
  };
}

async function mainProcess(processes: readonly number[], main: string): Promise<number> {
  for (const pid of processes) {
    const commandLine = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (commandLine.includes(main)) return pid;
  }
  throw new Error(`There is no process of ${main}`);
}

async function processCounts(pid: number, resourceFiles: string): Promise<ProcessCounts> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const of = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1]);
  return {
    files: (await readdir(`/proc/${pid}/fd`)).length,
    threads: of("Threads"),
    residentMiB: Math.round(of("VmRSS") / 1_024),
    resources: await activeResources(pid, `${resourceFiles}-${pid}`),
  };
}

async function activeResources(pid: number, file: string): Promise<Readonly<Record<string, number>>> {
  await rm(file, { force: true });
  process.kill(pid, "SIGUSR2");
  let counts: Readonly<Record<string, number>> = {};
  await eventually(async () => {
    counts = JSON.parse(await readFile(file, "utf8")) as typeof counts;
  });
  return counts;
}

/** From the runner's own metrics, wherever its log says they are. */
async function runnerAccount(output: string): Promise<Counts["runner"]> {
  const addresses = [...output.matchAll(/Admin listener serves address=(\S+)/g)].map((match) => match[1]);
  const pages = await Promise.all(addresses.map(async (at) => (await fetch(`http://${at}/metrics`)).text()));
  const page = pages.find((text) => text.includes("fn_util_mem_used"));
  if (page === undefined) throw new Error("No admin listener tells of the runner's memory");
  const gauge = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(page)?.[1]);
  return { queued: gauge("fn_queued"), running: gauge("fn_running"), bookedBytes: gauge("fn_util_mem_used") };
}
