import { execFile } from "node:child_process";
import process from "node:process";
import { promisify } from "node:util";

import { spawned, type Spawned } from "./spawned.ts";

const run = promisify(execFile);

/** A network namespace with one address, on a wire to another. */
export interface Machine {
  readonly address: string;
  /** Starts a command line there, and waits until it is ready. */
  start(command: string, env?: NodeJS.ProcessEnv): Promise<Spawned>;
  /** Runs a program there to its end, and returns what it wrote. */
  exec(program: string, ...args: readonly string[]): Promise<string>;
}

/** Two namespaces joined by a pair of virtual network cards. Disposing it removes them. */
export interface TwoMachines extends AsyncDisposable {
  readonly gateway: Machine;
  readonly runner: Machine;
  /** What goes between them from now on is late by so much, each way, and some of it is lost. */
  impair(impairment: Impairment): Promise<void>;
}

export interface Impairment {
  readonly delayMs: number;
  readonly lossPercent: number;
}

/** Why there can be no network namespaces here; false where there can. In CI a missing program is an error. */
export async function namespacesOrSkip(environment: NodeJS.ProcessEnv = process.env): Promise<string | false> {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "only root may make network namespaces";
  for (const [program, from] of Object.entries({ ip: "iproute2", tc: "iproute2", iptables: "iptables" })) {
    const there = await run(program, ["-V"], { env: environment }).then(
      () => true,
      () => false,
    );
    if (there) continue;
    if (environment["CI"] === "true") throw new Error(`Cannot test two machines: no ${program}, and CI is "true"`);
    return `there is no ${program}: install ${from}`;
  }
  return false;
}

/** Whether the kernel can delay packets itself. */
export async function hasNetem(): Promise<boolean> {
  const name = `kiln-n-${process.pid}`;
  await run("ip", ["netns", "add", name]);
  try {
    await run("tc", ["-n", name, "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]);
    return true;
  } catch {
    return false;
  } finally {
    await run("ip", ["netns", "delete", name]);
  }
}

/** Addresses that documentation uses, which nobody has. */
const ADDRESSES = { gateway: "192.0.2.10", runner: "192.0.2.11" } as const;

export async function twoMachines(): Promise<TwoMachines> {
  const names = { gateway: `kiln-g-${process.pid}`, runner: `kiln-r-${process.pid}` };
  await using made = new AsyncDisposableStack();
  for (const name of Object.values(names)) {
    await run("ip", ["netns", "add", name]);
    made.defer(async () => void (await run("ip", ["netns", "delete", name])));
  }
  const card = ["veth0", "netns", names.gateway, "type", "veth", "peer", "name", "veth0", "netns", names.runner];
  await run("ip", ["link", "add", ...card]);
  for (const role of ["gateway", "runner"] as const) {
    await run("ip", ["-n", names[role], "address", "add", `${ADDRESSES[role]}/24`, "dev", "veth0"]);
    await run("ip", ["-n", names[role], "link", "set", "lo", "up"]);
    await run("ip", ["-n", names[role], "link", "set", "veth0", "up"]);
  }
  const owned = made.move();
  return {
    gateway: machine(names.gateway, ADDRESSES.gateway),
    runner: machine(names.runner, ADDRESSES.runner),
    async impair({ delayMs, lossPercent }) {
      for (const name of Object.values(names)) {
        const netem = ["netem", "delay", `${delayMs}ms`, "loss", `${lossPercent}%`];
        await run("tc", ["-n", name, "qdisc", "replace", "dev", "veth0", "root", ...netem]);
      }
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function machine(name: string, address: string): Machine {
  const within = ["ip", "netns", "exec", name];
  return {
    address,
    start: (command, env = {}) => spawned(command, { ...process.env, ...env }, within),
    exec: async (program, ...args) => (await run("ip", ["netns", "exec", name, program, ...args])).stdout,
  };
}
