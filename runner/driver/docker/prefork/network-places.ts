import type { NetworkInspectInfo } from "dockerode";

import { unlessGone } from "../docker-errors.ts";
import { engineCall, type EngineClient } from "../engine-call.ts";
import type { Docker } from "../engine.ts";
import type { Places } from "./pool-networks.ts";

/** Ports of a Linux bridge; the kernel refuses the next one. */
const BRIDGE_PORTS = 1_023;
/** Network address, broadcast address, gateway. */
const RESERVED_ADDRESSES = 3;

/** How many holders a network can have, those in `ours` included. */
export async function networkPlaces(
  client: EngineClient,
  network: string,
  ours: (containerId: string) => boolean,
): Promise<Places> {
  try {
    const found = await engineCall(client, "inspect the network", (abortSignal) =>
      inspect(client.docker, network, abortSignal).catch(unlessGone),
    );
    return found === undefined ? "gone" : placesOf(found, ours);
  } catch {
    return "unknown";
  }
}

export function placesOf(
  { IPAM, Containers }: Pick<NetworkInspectInfo, "IPAM" | "Containers">,
  ours: (containerId: string) => boolean,
): number {
  const others = Object.keys(Containers ?? {}).filter((id) => !ours(id)).length;
  const subnets = (IPAM?.Config ?? []).flatMap(({ Subnet = "" }) => {
    const bits = /^\d+\.\d+\.\d+\.\d+\/(\d+)$/.exec(Subnet)?.[1];
    return bits === undefined ? [] : [2 ** (32 - Number(bits)) - RESERVED_ADDRESSES];
  });
  // Without a subnet of its own, addresses are somebody else's to run out of.
  const addresses = subnets.length === 0 ? Infinity : subnets.reduce((sum, each) => sum + Math.max(0, each), 0);
  return Math.max(0, Math.min(BRIDGE_PORTS, addresses) - others);
}

function inspect(docker: Docker, network: string, abortSignal: AbortSignal): Promise<NetworkInspectInfo> {
  const { modem } = docker;
  const request = {
    path: `/networks/${encodeURIComponent(network)}`,
    method: "GET",
    statusCodes: { 200: true, 404: "no such network", 500: "server error" },
    abortSignal,
  };
  return new Promise((resolve, reject) => {
    modem.dial(request, (error, answer) => (error === null ? resolve(answer as NetworkInspectInfo) : reject(error)));
  });
}
