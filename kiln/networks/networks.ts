import { networkInterfaces } from "node:os";
import { parseArgs } from "node:util";

import { connectEngine, type Docker } from "../../runner/driver/docker/engine.ts";
import {
  createFunctionNetworks,
  functionNetwork,
  type FunctionNetwork,
  removeFunctionNetworks,
} from "../../runner/driver/docker/networks/function-networks.ts";
import { parseSubnet, type Subnet } from "../../runner/driver/docker/networks/subnets.ts";
import type { Write } from "../command.ts";
import { endIsolation, isolate, isolateCommands } from "./isolate.ts";

export const networksUsage = `npm run kiln -- networks create [--count N] [--prefix NAME] [--base SUBNET] [--size BITS] [--icc] [--isolate]
npm run kiln -- networks isolate NETWORK...
npm run kiln -- networks remove [--prefix NAME]

  Makes Docker networks for functions, NAME1 to NAMEn (fn-net, 4), each with a free subnet of /BITS (22) in SUBNET
  (10.213.0.0/16). Containers on them do not reach each other, unless told --icc. Those that are there stay.
  --isolate, or "isolate" for networks of any make: containers do not reach this host either, by no address of it.
  It needs root and iptables, on Docker's machine; a reboot forgets it, and another "isolate" brings it back.
`;

/** The `networks` command. @param dockerHost as DOCKER_HOST has it @throws Error saying which argument is wrong */
export async function networks(args: readonly string[], dockerHost: string | undefined, write: Write): Promise<void> {
  const { action, names, options } = readArgs(args);
  const docker = connectEngine({ host: dockerHost });
  switch (action) {
    case "create":
      return await create(docker, options, write);
    case "isolate":
      return await isolateAll(await existing(docker, names), write);
    case "remove":
      return await remove(docker, options.prefix, write);
  }
}

type Options = ReturnType<typeof readArgs>["options"];

async function create(docker: Docker, options: Options, write: Write): Promise<void> {
  const made = await createFunctionNetworks(docker, { ...options, taken: ownRanges() });
  for (const { name, subnet, state } of made) {
    write(`${name} ${subnet} ${state === "foreign" ? "was there, and stays as it is" : state}\n`);
  }
  if (options.isolate) await isolateAll(made, write);
  write(`Set for the runner:\n  FN_EXPERIMENTAL_PREFORK_NETWORKS="${made.map(({ name }) => name).join(" ")}"\n`);
}

async function isolateAll(all: readonly FunctionNetwork[], write: Write): Promise<void> {
  const other = all.find(({ driver }) => driver !== "bridge");
  if (other !== undefined) {
    throw new Error(`Cannot isolate ${other.name}: it is a network of driver ${other.driver}, expected bridge`);
  }
  for (const network of all) {
    try {
      await isolate(network);
    } catch (cause) {
      const commands = all.flatMap((each) => isolateCommands(each)).join("\n  ");
      throw new Error(`Cannot isolate ${network.name}: run as root, on Docker's machine\n  ${commands}`, { cause });
    }
    write(`${network.name} does not reach this host any more\n`);
  }
}

async function existing(docker: Docker, names: readonly string[]): Promise<readonly FunctionNetwork[]> {
  if (names.length === 0) throw new Error("Which networks? Name them after isolate");
  return await Promise.all(
    names.map(async (name) => {
      const found = await functionNetwork(docker, name);
      if (found === undefined) throw new Error(`There is no network "${name}"`);
      return found;
    }),
  );
}

async function remove(docker: Docker, prefix: string, write: Write): Promise<void> {
  for await (const network of removeFunctionNetworks(docker, prefix)) {
    await endIsolation(network);
    write(`${network.name} removed\n`);
  }
}

function readArgs(args: readonly string[]) {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      count: { type: "string", default: "4" },
      prefix: { type: "string", default: "fn-net" },
      base: { type: "string", default: "10.213.0.0/16" },
      size: { type: "string", default: "22" },
      icc: { type: "boolean", default: false },
      isolate: { type: "boolean", default: false },
    },
  });
  const [action, ...names] = positionals;
  if (action !== "create" && action !== "isolate" && action !== "remove") {
    throw new Error(`networks ${action ?? ""}: expected create, isolate or remove`);
  }
  if (action !== "isolate" && names.length > 0) throw new Error(`networks ${action} takes no names, only --prefix`);
  const count = integer("count", values.count, 1, 256);
  const base = parseSubnet(values.base);
  // Less than /29 is no network of holders, and a bridge has 1023 ports.
  const bits = integer("size", values.size, Math.max(16, base.bits), 29);
  // The bridge has the network's name, and Linux gives it 15 characters.
  if (!/^[a-z][a-z0-9-]{0,11}$/.test(values.prefix) || `${values.prefix}${count}`.length > 15) {
    throw new Error(
      `--prefix is "${values.prefix}", expected up to 12 small letters, digits and -, beginning with a letter`,
    );
  }
  const { prefix, icc, isolate: isolated } = values;
  return { action, names, options: { count, prefix, base, bits, icc, isolate: isolated } } as const;
}

function integer(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new Error(`--${name} is "${text}", expected a whole number from ${min} to ${max}`);
}

/** What this machine's own interfaces are in; Docker's machine is mostly this one. */
function ownRanges(): readonly Subnet[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.flatMap(({ family, cidr }) => (family === "IPv4" && cidr !== null ? [parseSubnet(cidr)] : []));
}
