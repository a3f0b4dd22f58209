import type { ContainerCreateOptions } from "dockerode";

import type { Log } from "../../../../core/log.ts";
import type { HotContainer } from "../../driver.ts";
import { type StartDependencies, startContainer } from "../docker-container.ts";
import { engineFailure } from "../docker-errors.ts";
import type { NamespaceLease, Prefork } from "./prefork.ts";

/** Dead holders that one start may meet, before it takes the plain path. */
const DEAD_HOLDERS = 3;

/** Starts a container in a holder's network namespace, or on the plain path at once where none is free. */
export async function startJoined(
  options: ContainerCreateOptions,
  prefork: Prefork,
  plain: () => Promise<HotContainer>,
  dependencies: StartDependencies,
  signal: AbortSignal,
): Promise<HotContainer> {
  for (let tries = 0; tries < DEAD_HOLDERS; tries += 1) {
    const lease = prefork.take();
    if (lease === undefined) break;
    try {
      const container = await startIn(lease, options, dependencies, signal);
      prefork.count("holder");
      return container;
    } catch (error) {
      if (!holderIsDead(error, lease.holderId)) throw error;
    }
  }
  prefork.count("empty");
  return await plain();
}

/** Whether a container could not start since the one whose namespace it was to join does not run. */
function holderIsDead(error: unknown, holderId: string): boolean {
  const { message } = engineFailure(error);
  return (
    /cannot join network (namespace )?of a non running container/i.test(message) ||
    message.includes(`container: ${holderId}`)
  );
}

async function startIn(
  lease: NamespaceLease,
  plain: ContainerCreateOptions,
  dependencies: StartDependencies,
  signal: AbortSignal,
): Promise<HotContainer> {
  let clean = true;
  const leftBehind = () => (clean = false);
  const joined = { ...plain, HostConfig: { ...plain.HostConfig, NetworkMode: `container:${lease.holderId}` } };
  try {
    const container = await startContainer(joined, { ...dependencies, leftBehind }, signal);
    return withLease(container, lease, dependencies.log);
  } catch (error) {
    if (clean && !holderIsDead(error, lease.holderId)) lease.giveBack();
    else lease.discard();
    throw error;
  }
}

/** The namespace goes back once the container is gone, and the container goes if the namespace does. */
function withLease(container: HotContainer, lease: NamespaceLease, log: Log): HotContainer {
  let removed: Promise<void> | undefined;
  const remove = async () => {
    try {
      await container[Symbol.asyncDispose]();
    } catch (error) {
      lease.discard();
      throw error;
    }
    lease.giveBack();
  };
  const leased = { ...container, [Symbol.asyncDispose]: () => (removed ??= remove()) };
  const end = () => {
    leased[Symbol.asyncDispose]().catch((error: unknown) => {
      log.error("Container without a network could not be removed", { container: container.id, error });
    });
  };
  if (lease.lost.aborted) end();
  else lease.lost.addEventListener("abort", end, { once: true });
  return leased;
}
