import { claimAlone, type RunnerName } from "./claim-name.ts";
import type { FormerRunners } from "./driver/driver.ts";
import type { SocketDirectories } from "./hot/socket-directory.ts";

/** The name of one of a service's workers, from 1; that of the service itself where it is one runner, worker 0. */
export function workerId(service: string, worker: number): string {
  return worker === 0 ? service : `${service}-${worker}`;
}

/** The service that a runner is a worker of. */
export function serviceOf(runnerId: string, worker: number): string {
  return worker === 0 ? runnerId : runnerId.slice(0, -`-${worker}`.length);
}

/**
 * Runners that a service is made of no more, now that it has so many workers, 1 being the service itself: nobody would
 * come back under their names to remove what they left.
 */
export function formerRunners(
  name: RunnerName,
  workers: number,
  directories: Pick<SocketDirectories, "hasLivingPeer">,
): FormerRunners {
  const { service } = name;
  const isNow = (worker: number) => (workers === 1 ? worker === 0 : worker >= 1 && worker <= workers);
  const workerOf = (runnerId: string) => (runnerId === service ? 0 : Number(runnerId.slice(service.length + 1)));
  return {
    has: (runnerId) => !isNow(workerOf(runnerId)),
    async claim(runnerId) {
      const worker = workerOf(runnerId);
      if (await directories.hasLivingPeer(worker)) return undefined;
      return claimAlone({ ...name, worker, runnerId });
    },
  };
}
