import type { Clock } from "../../../core/clock.ts";
import type { Log } from "../../../core/log.ts";
import { containerEngine } from "./container-engine.ts";
import { thawAbandoned } from "./container-freezer.ts";
import { LABELS, type Installation } from "./container-options.ts";
import { engineCall } from "./engine-call.ts";
import type { Docker } from "./engine.ts";

/**
 * Removes what an earlier run of this runner left behind, and resolves with how many containers that were.
 * Containers of other runners, other installations and of anything else are not touched.
 */
export async function removeLeftovers(
  docker: Docker,
  installation: Installation,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Promise<number> {
  const { id, runnerId, bootId } = installation;
  const label = [`${LABELS.installation}=${id}`, `${LABELS.runner}=${runnerId}`];
  const ours = await engineCall(clock, "list the containers", (abortSignal) =>
    docker.listContainers({ all: true, filters: { label }, abortSignal }),
  );
  const engine = containerEngine(docker, clock);
  const left = ours.filter(({ Labels }) => isOlder(Labels, bootId));
  const removed = await Promise.all(
    left.map(async ({ Id }) => {
      try {
        await thawAbandoned(Id, engine, clock);
        return await engine.remove(Id);
      } catch (error) {
        log.error("Container of an earlier run cannot be removed", { container: Id, error });
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
