import { randomBytes } from "node:crypto";
import { availableParallelism, hostname } from "node:os";

import { adminAddress, refuseTaken } from "../core/bind.ts";
import type { Settings } from "../core/config.ts";
import { portOf, type WorkerPlace } from "../core/workers/worker-place.ts";
import { runnerResources } from "./machine.ts";
import { workerId } from "./service-name.ts";
import type { RUNNER_SETTINGS } from "./settings.ts";
import type { Booking } from "./slots/slot.ts";

type RunnerSettings = Settings<typeof RUNNER_SETTINGS>;

const MIB = 1024 * 1024;

/**
 * Makes several runners of one: each with a name, a port and a part of the machine of its own. What the machine has is
 * looked at here, once. @throws Error where there is too little, or another process listens where operators are to find it
 */
export async function shareRunner(
  settings: RunnerSettings,
  workers: number,
): Promise<(place: WorkerPlace) => Partial<RunnerSettings>> {
  const { FN_GRPC_PORT: port, FN_ADMIN_PORT: adminPort, FN_EXPERIMENTAL_PREFORK_POOL_SIZE: pool } = settings;
  const { memoryMiB, cpuMillis } = runnerResources(settings);
  if (memoryMiB < workers || cpuMillis < workers) {
    throw new Error(
      `Cannot start ${workers} workers: ${memoryMiB} MiB and ${cpuMillis} thousandths of a core are to be shared`,
    );
  }
  if (port + workers - 1 > HIGHEST_PORT) {
    throw new Error(
      `Cannot start ${workers} workers from port ${port} on (FN_GRPC_PORT): the highest is ${HIGHEST_PORT}`,
    );
  }
  if (adminPort !== undefined) await refuseTaken(adminAddress(settings, adminPort));
  const id = settings.FN_RUNNER_ID || `${hostname()}-${port || randomBytes(8).toString("hex")}`;
  const starts = settings.FN_MAX_CONCURRENT_STARTS || 2 * availableParallelism();
  return ({ number, before, first }) => {
    const part = (whole: number) => partOf(whole, number, workers);
    const usual = port === 0 ? 0 : port + number - 1;
    return {
      FN_RUNNER_ID: workerId(id, number),
      // Gateways know one that is started again by its address.
      FN_GRPC_PORT: portOf(before?.address) ?? usual,
      FN_ADMIN_PORT: portOf(first?.admin) ?? adminPort,
      FN_MAX_TOTAL_MEMORY_BYTES: part(memoryMiB) * MIB,
      FN_MAX_TOTAL_CPU_MCPUS: part(cpuMillis),
      FN_EXPERIMENTAL_PREFORK_POOL_SIZE: part(pool),
      FN_MAX_CONCURRENT_STARTS: Math.max(1, part(starts)),
      // The images are Docker's, and so all workers': two that clean would each remove down to the size.
      FN_IMAGE_CLEAN_MAX_SIZE: number === 1 ? settings.FN_IMAGE_CLEAN_MAX_SIZE : 0,
    };
  };
}

/**
 * What one of these runners may book: its part as it was shared out. A look at the machine would count what the others
 * have booked, or what one that crashed has left behind, as taken from it.
 */
export function partOfMachine(settings: RunnerSettings): Booking {
  return {
    memoryMiB: settings.FN_MAX_TOTAL_MEMORY_BYTES / MIB,
    cpuMillis: settings.FN_MAX_TOTAL_CPU_MCPUS,
  };
}

const HIGHEST_PORT = 65_535;

/** Whole numbers that add up to the whole. */
function partOf(whole: number, worker: number, workers: number): number {
  return Math.floor(whole / workers) + (worker <= whole % workers ? 1 : 0);
}
