import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { createAuthority, type Authority } from "../pki.ts";
import { countRuns, startLoad, type Load, type LoadReport } from "../testing/load.ts";
import { gatewayProcess, runnerProcess, type MainProcess } from "../testing/main-process.ts";
import { probeFunctions } from "../testing/probe-calls.ts";

/** What a fault came to, from the clients' side and from the functions'. */
export interface FaultReport extends LoadReport {
  /** Calls that reached a function, and those that did so more than once. */
  readonly ran: number;
  readonly ranTwice: number;
}

export interface FaultOptions {
  /** How long the fault goes on. */
  readonly seconds: number;
  readonly clients: number;
}

/** Real processes, and a load on them that counts what runs. */
export interface FaultSystem extends AsyncDisposable {
  readonly authority: Authority;
  /** Starts a runner; with the port of an earlier one where it is to come back. */
  runner(name: string, port?: string): Promise<MainProcess>;
  gateway(runners: readonly string[], settings?: Readonly<Record<string, string>>): Promise<MainProcess>;
  load(gateways: readonly MainProcess[], orders?: Readonly<Record<string, unknown>>): Load;
  report(load: Load): Promise<FaultReport>;
}

/** Containers of one runner: few enough that calls wait. */
const CONTAINERS = 4;
const MEMORY_MIB = 64;
/** A peer that is gone without a word is noticed soon, so that minutes are enough to see it. */
const FAST = { FN_PING_MSECS: "500", FN_PING_TIMEOUT_MSECS: "1000" };

export async function faultSystem(clients: number): Promise<FaultSystem> {
  await using made = new AsyncDisposableStack();
  const counted = await mkdtemp(join(tmpdir(), "kiln-faults-"));
  made.defer(() => rm(counted, { recursive: true, force: true }));
  const authority = await createAuthority();
  const functions = probeFunctions({ probe: { memory: MEMORY_MIB } });
  const memory = { FN_MAX_TOTAL_MEMORY_BYTES: String(CONTAINERS * MEMORY_MIB * 2 ** 20) };
  const owned = made.move();
  return {
    authority,
    runner: async (name, port) => owned.use(await runnerProcess(authority, name, port, { ...FAST, ...memory })),
    gateway: async (runners, settings = {}) =>
      owned.use(await gatewayProcess(authority, runners, functions, { ...FAST, FN_LOG_LEVEL: "warn", ...settings })),
    load: (gateways, orders = {}) =>
      startLoad({
        gateways: gateways.map(({ address }) => address),
        fnId: "probe",
        clients,
        orders: { echo: true, countDir: counted, sleepTime: 20, ...orders },
      }),
    async report(load) {
      const told = await load.stop();
      const { calls: ran, twice: ranTwice } = await countRuns(counted);
      return { ...told, ran, ranTwice };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The port that a process serves on. */
export function portOf({ address }: MainProcess): string {
  return address.split(":")[1] ?? "";
}
