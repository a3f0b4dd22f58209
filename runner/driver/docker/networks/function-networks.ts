import { unlessGone } from "../docker-errors.ts";
import type { Docker } from "../engine.ts";
import { freeSubnets, gatewayOf, parseSubnet, showSubnet, type Subnet } from "./subnets.ts";

export interface NetworksOptions {
  readonly prefix: string;
  readonly count: number;
  /** Where their subnets are taken from. */
  readonly base: Subnet;
  /** The size of each. */
  readonly bits: number;
  /** Ranges that somebody else uses, beside Docker's own networks. */
  readonly taken: readonly Subnet[];
  /** Lets containers on the same network talk to each other. */
  readonly icc: boolean;
}

export interface FunctionNetwork {
  readonly name: string;
  readonly subnet: string;
  readonly driver: string;
  /** The host's network interface, where the driver is `bridge`. */
  readonly bridge: string;
  readonly ipv6: boolean;
  /** `foreign`: it was there and is not ours, so it stays as it is. */
  readonly state: "created" | "kept" | "foreign";
}

/** Says that a network is ours to remove, and under which prefix. */
const LABEL = "kiln.networks";

type Inspected = Awaited<ReturnType<ReturnType<Docker["getNetwork"]>["inspect"]>>;

/** Makes the networks `PREFIX1` to `PREFIXn` that are not there yet. @throws RangeError where no subnet is left for them */
export async function createFunctionNetworks(
  docker: Docker,
  { prefix, count, base, bits, taken, icc }: NetworksOptions,
): Promise<readonly FunctionNetwork[]> {
  const names = Array.from({ length: count }, (_, index) => `${prefix}${index + 1}`);
  const there = await docker.listNetworks();
  const missing = names.filter((name) => !there.some(({ Name }) => Name === name));
  const used = [...taken, ...there.flatMap((network) => subnetsOf(network).map(parseSubnet))];
  const subnets = freeSubnets(base, bits, missing.length, used);
  for (const [index, name] of missing.entries()) {
    const subnet = subnets[index];
    if (subnet !== undefined) await docker.createNetwork(networkOptions(name, subnet, prefix, icc));
  }
  const all = await Promise.all(names.map((name) => functionNetwork(docker, name)));
  return all
    .filter((network) => network !== undefined)
    .map((network) => (missing.includes(network.name) ? { ...network, state: "created" } : network));
}

/** A network as it is, or undefined where there is none of this name. */
export async function functionNetwork(docker: Docker, name: string): Promise<FunctionNetwork | undefined> {
  const found = (await docker.getNetwork(name).inspect().catch(unlessGone)) as Inspected | undefined;
  if (found === undefined) return undefined;
  return {
    name,
    subnet: subnetsOf(found).join(" "),
    driver: found.Driver,
    bridge: found.Options?.["com.docker.network.bridge.name"] ?? `br-${found.Id.slice(0, 12)}`,
    ipv6: found.EnableIPv6 ?? false,
    state: found.Labels?.[LABEL] === undefined ? "foreign" : "kept",
  };
}

/** Removes the networks that were made with this prefix, and tells of each. @throws Error of the Engine for one that is in use */
export async function* removeFunctionNetworks(docker: Docker, prefix: string): AsyncGenerator<FunctionNetwork> {
  const filters = { label: [`${LABEL}=${prefix}`] };
  const names = (await docker.listNetworks({ filters })).map(({ Name }) => Name);
  for (const name of names.toSorted((a, b) => a.localeCompare(b, "en", { numeric: true }))) {
    const network = await functionNetwork(docker, name);
    if (network === undefined) continue;
    await docker.getNetwork(name).remove();
    yield network;
  }
}

function networkOptions(name: string, subnet: Subnet, prefix: string, icc: boolean) {
  return {
    Name: name,
    CheckDuplicate: true,
    Driver: "bridge",
    Labels: { [LABEL]: prefix },
    Options: { "com.docker.network.bridge.name": name, "com.docker.network.bridge.enable_icc": String(icc) },
    // Docker's own pools end at some thirty networks.
    IPAM: { Driver: "default", Config: [{ Subnet: showSubnet(subnet), Gateway: gatewayOf(subnet) }] },
  };
}

function subnetsOf({ IPAM }: Pick<Inspected, "IPAM">): readonly string[] {
  return (IPAM?.Config ?? []).flatMap(({ Subnet = "" }) => (/^\d+\./.test(Subnet) ? [Subnet] : []));
}
