import type { ContainerInfo } from "dockerode";

import type { Clock } from "../../../core/clock.ts";
import type { Log } from "../../../core/log.ts";
import { containerEngine } from "./container-engine.ts";
import { thawAbandoned } from "./container-freezer.ts";
import { LABELS, type Installation } from "./container-options.ts";
import { engineCall } from "./engine-call.ts";
import type { Docker } from "./engine.ts";

interface Tools {
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Removes what an earlier run of this runner left behind, and resolves with how many containers that were.
 * Containers of other runners, other installations and of anything else are not touched.
 */
export async function removeLeftovers(docker: Docker, installation: Installation, tools: Tools): Promise<number> {
  const isLeft = ({ Labels }: ContainerInfo) => isOlder(Labels, installation.bootId);
  return removeOurs(docker, installation, tools, isLeft);
}

/** Removes the function containers of this run of the runner that nobody answers for. */
export async function removeStrays(
  docker: Docker,
  installation: Installation,
  tools: Tools,
  isKnown: (name: string) => boolean,
): Promise<number> {
  return removeOurs(docker, installation, tools, ({ Names, Labels }) => {
    const isFunctions = Labels[LABELS.boot] === installation.bootId && Labels[LABELS.fn] !== undefined;
    return isFunctions && !Names.some((name) => isKnown(name.replace(/^\//, "")));
  });
}

/** The ids of this runner's containers that have not ended. */
export async function runningContainers(
  docker: Docker,
  installation: Installation,
  clock: Clock,
): Promise<ReadonlySet<string>> {
  const ours = await listOurs(docker, installation, clock);
  return new Set(ours.filter(({ State }) => ["running", "paused"].includes(State)).map(({ Id }) => Id));
}

function listOurs(docker: Docker, { id, runnerId }: Installation, clock: Clock): Promise<ContainerInfo[]> {
  const label = [`${LABELS.installation}=${id}`, `${LABELS.runner}=${runnerId}`];
  return engineCall(clock, "list the containers", (abortSignal) =>
    docker.listContainers({ all: true, filters: { label }, abortSignal }),
  );
}

async function removeOurs(
  docker: Docker,
  installation: Installation,
  { clock, log }: Tools,
  isWanted: (container: ContainerInfo) => boolean,
): Promise<number> {
  const ours = await listOurs(docker, installation, clock);
  const engine = containerEngine(docker, clock);
  const removed = await Promise.all(
    ours.filter(isWanted).map(async ({ Id }) => {
      try {
        await thawAbandoned(Id, engine, clock);
        return await engine.remove(Id);
      } catch (error) {
        log.error("Container that was left behind cannot be removed", { container: Id, error });
        return false;
      }
    }),
  );
  return removed.filter(Boolean).length;
}

/** One without a boot id was not made by a driver of ours, whatever else it says. */
function isOlder(labels: Readonly<Record<string, string>>, bootId: string): boolean {
  const boot = labels[LABELS.boot];
  return boot !== undefined && boot !== bootId;
}
