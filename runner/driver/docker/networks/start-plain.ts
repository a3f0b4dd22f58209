import { isDeepStrictEqual } from "node:util";

import type { ContainerCreateOptions } from "dockerode";

import type { HotContainer } from "../../driver.ts";
import { type StartDependencies, startContainer } from "../docker-container.ts";
import type { Guard } from "../guard.ts";
import { networkTrouble } from "./network-trouble.ts";
import type { PlainNetworks } from "./plain-networks.ts";

export interface PlainStart {
  readonly checked: ContainerCreateOptions;
  /** What the driver itself asked for. */
  readonly own: ContainerCreateOptions;
  /** Sees the options again where they change. */
  readonly guard: Guard;
}

/**
 * Starts a container on the network that its options name or, if that is full or gone, on another of the driver's. A
 * network that a hook chose is kept: it may be what keeps tenants apart.
 */
export async function startPlain(
  { checked, own, guard }: PlainStart,
  networks: PlainNetworks,
  dependencies: StartDependencies,
  signal: AbortSignal,
): Promise<HotContainer> {
  if (!hasOwnNetwork(checked, own)) return await startContainer(checked, dependencies, signal);
  const first = checked.HostConfig?.NetworkMode ?? "";
  let failure: unknown;
  for (const network of networks.inOrder(first)) {
    const options = network === first ? checked : guard.check(on(network, checked), on(network, own));
    try {
      const container = await startContainer(options, dependencies, signal);
      networks.worked(network);
      return container;
    } catch (error) {
      const trouble = networkTrouble(error);
      if (trouble === undefined) throw error;
      networks.failed(network, trouble);
      failure = error;
    }
  }
  throw failure;
}

function hasOwnNetwork(options: ContainerCreateOptions, own: ContainerCreateOptions): boolean {
  const { HostConfig: host, NetworkingConfig: endpoints } = options;
  return host?.NetworkMode === own.HostConfig?.NetworkMode && isDeepStrictEqual(endpoints, own.NetworkingConfig);
}

function on(network: string, options: ContainerCreateOptions): ContainerCreateOptions {
  return { ...options, HostConfig: { ...options.HostConfig, NetworkMode: network } };
}
