import type { ContainerInfo } from "dockerode";

import type { Log } from "../../../core/log.ts";
import type { FormerRunners } from "../driver.ts";
import { containerEngine } from "./container-engine.ts";
import { thawAbandoned } from "./container-freezer.ts";
import { LABELS, type Installation } from "./container-options.ts";
import { engineCall, type EngineClient } from "./engine-call.ts";

export interface SweepDependencies extends EngineClient {
  readonly installation: Installation;
  readonly log: Log;
}

/**
 * Removes what an earlier run of this runner left behind, and resolves with how many containers that were.
 * Containers of other runners, other installations and of anything else are not touched.
 */
export async function removeLeftovers(dependencies: SweepDependencies): Promise<number> {
  const { bootId } = dependencies.installation;
  return removeOurs(dependencies, ({ Labels }) => isOlder(Labels, bootId));
}

/** The same for runners that its service is made of no more. */
export async function removeFormer(dependencies: SweepDependencies, former: FormerRunners): Promise<number> {
  const { id, service, runnerId } = dependencies.installation;
  const there = await list(dependencies, { [LABELS.installation]: id, [LABELS.service]: service ?? runnerId });
  const byRunner = Map.groupBy(there, ({ Labels }) => Labels[LABELS.runner] ?? "");
  let removed = 0;
  for (const [name, containers] of byRunner) {
    if (!former.has(name)) continue;
    await using gone = await former.claim(name);
    if (gone !== undefined) removed += await removeAll(dependencies, containers);
  }
  return removed;
}

/** Removes the function containers of this run of the runner that nobody answers for. */
export async function removeStrays(
  dependencies: SweepDependencies,
  isKnown: (name: string) => boolean,
): Promise<number> {
  const { bootId } = dependencies.installation;
  return removeOurs(dependencies, ({ Names, Labels }) => {
    const isFunctions = Labels[LABELS.boot] === bootId && Labels[LABELS.fn] !== undefined;
    return isFunctions && !Names.some((name) => isKnown(name.replace(/^\//, "")));
  });
}

/** The ids of this runner's containers that have not ended. One that runs is "created" until Docker has written down its start. */
export async function runningContainers(dependencies: SweepDependencies): Promise<ReadonlySet<string>> {
  const ours = await listOurs(dependencies);
  return new Set(ours.filter(({ State }) => ["created", "running", "paused"].includes(State)).map(({ Id }) => Id));
}

function listOurs(dependencies: SweepDependencies): Promise<ContainerInfo[]> {
  const { id, runnerId } = dependencies.installation;
  return list(dependencies, { [LABELS.installation]: id, [LABELS.runner]: runnerId });
}

function list(dependencies: SweepDependencies, labels: Readonly<Record<string, string>>): Promise<ContainerInfo[]> {
  const label = Object.entries(labels).map(([name, value]) => `${name}=${value}`);
  return engineCall(dependencies, "list the containers", (abortSignal) =>
    dependencies.docker.listContainers({ all: true, filters: { label }, abortSignal }),
  );
}

async function removeOurs(
  dependencies: SweepDependencies,
  isWanted: (container: ContainerInfo) => boolean,
): Promise<number> {
  return removeAll(dependencies, (await listOurs(dependencies)).filter(isWanted));
}

async function removeAll(dependencies: SweepDependencies, containers: readonly ContainerInfo[]): Promise<number> {
  const { clock, log } = dependencies;
  const engine = containerEngine(dependencies);
  const removed = await Promise.all(
    containers.map(async ({ Id }) => {
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
