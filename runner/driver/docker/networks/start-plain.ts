import type { ContainerCreateOptions } from "dockerode";

import type { HotContainer } from "../../driver.ts";
import { type StartDependencies, startContainer } from "../docker-container.ts";
import { networkTrouble } from "./network-trouble.ts";
import type { PlainNetworks } from "./plain-networks.ts";

/** Starts a container on the network that its options name or, if that is full or gone, on another of the driver's. */
export async function startPlain(
  options: ContainerCreateOptions,
  networks: PlainNetworks,
  dependencies: StartDependencies,
  signal: AbortSignal,
): Promise<HotContainer> {
  let failure: unknown;
  for (const network of networks.inOrder(options.HostConfig?.NetworkMode ?? "")) {
    try {
      const container = await startContainer(on(network, options), dependencies, signal);
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

function on(network: string, options: ContainerCreateOptions): ContainerCreateOptions {
  const { HostConfig: host } = options;
  return host?.NetworkMode === network ? options : { ...options, HostConfig: { ...host, NetworkMode: network } };
}
