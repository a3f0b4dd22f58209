import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { pause, systemClock } from "../../core/clock.ts";
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
/** How long the last calls may take, in all. */
const WAIT_MS = 100;
const MOST_WAITS = 600;
/** Has a peer that is gone without a word noticed soon, so that seconds are enough to see it. */
export const FAST_PINGS = { FN_PING_MSECS: "500", FN_PING_TIMEOUT_MSECS: "1000" };

/** @param settings - of all its processes */
export async function faultSystem(
  clients: number,
  settings: Readonly<Record<string, string>> = {},
): Promise<FaultSystem> {
  await using made = new AsyncDisposableStack();
  const counted = await mkdtemp(join(tmpdir(), "kiln-faults-"));
  made.defer(() => rm(counted, { recursive: true, force: true }));
  const authority = await createAuthority();
  const functions = probeFunctions({ probe: { memory: MEMORY_MIB } });
  const memory = { FN_MAX_TOTAL_MEMORY_BYTES: String(CONTAINERS * MEMORY_MIB * 2 ** 20) };
  const owned = made.move();
  return {
    authority,
    runner: async (name, port) => owned.use(await runnerProcess(authority, name, port, { ...settings, ...memory })),
    gateway: async (runners, own = {}) =>
      owned.use(await gatewayProcess(authority, runners, functions, { FN_LOG_LEVEL: "warn", ...settings, ...own })),
    load: (gateways, orders = {}) =>
      startLoad({
        gateways: gateways.map(({ address }) => address),
        fnId: "probe",
        clients,
        orders: { echo: true, declareLength: true, countDir: counted, sleepTime: 20, ...orders },
      }),
    async report(load) {
      // However slow the machine, the fault was among calls that went on.
      const until = load.ended + clients;
      for (let i = 0; i < MOST_WAITS && load.ended < until; i++) await pause(systemClock, WAIT_MS);
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
