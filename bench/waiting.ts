import { join } from "node:path";

import { pause, systemClock } from "../core/clock.ts";
import { cpuMicros, residentBytes, used } from "./accounts.ts";
import { BUDGET_HEAD, budgetRow } from "./budget.ts";
import { startKiln } from "./kiln-system.ts";
import { type HeldCall, type Holder, startHolder } from "./load/holder.ts";
import type { BenchOptions } from "./options.ts";
import { startProgram } from "./program.ts";
import type { Table } from "./table.ts";

const FEW = 20;
const BODY = JSON.stringify({ name: "x".repeat(189) });
const MB = 1e6;
/** What a process gets to come to rest: to collect what sending so many calls left behind. */
const REST_MS = 3_000;
const ARRIVAL_MS = 60_000;
const POLL_MS = 50;

// Whoever comes second waits at the gateway: the only container there may be is busy until the end.
const FUNCTIONS = `
apps:
  - name: bench
    fns:
      - { id: probe, name: probe, image: probe, memory: 32, timeout: 300, idle_timeout: 3600, max_containers: 1 }
`;
const BUSY: HeldCall = { path: "/invoke/probe", body: JSON.stringify({ sleepTime: 290_000 }) };
const CALL: HeldCall = { path: "/invoke/probe", body: BODY };
const PATIENCE_MS = "600000";

/** Who holds calls. */
interface Keeper {
  readonly name: string;
  readonly pid: number;
  readonly url: string;
  /** Calls that wait there now. */
  waiting(): Promise<number>;
}

interface Held {
  readonly beforeBytes: number;
  readonly heldBytes: number;
  /** Percent of one core. */
  readonly cpu: number;
}

/** Calls that wait at the gateway, each on a connection of its own: memory and CPU, beside a bare Hono that holds them. */
export async function measureWaiting({ waiting, seconds, profile, gateway }: BenchOptions): Promise<readonly Table[]> {
  const room = String(waiting + FEW);
  await using kiln = await startKiln({
    functions: FUNCTIONS,
    profile,
    gateway,
    gatewayEnv: {
      FN_QUEUE_SIZE: room,
      FN_QUEUE_SIZE_PER_FUNCTION: room,
      FN_MAX_CONNECTIONS: "0",
      FN_PLACER_TIMEOUT_MSECS: PATIENCE_MS,
    },
  });
  await using hono = await startProgram({ main: join(import.meta.dirname, "bare/holding.ts") });
  await using busy = startHolder();
  await busy.hold(kiln.url, BUSY, 1);
  const honoUrl = `http://${hono.address}`;
  const keepers: readonly Keeper[] = [
    { name: "bare Hono", pid: hono.pid, url: honoUrl, waiting: async () => Number(await textOf(`${honoUrl}/held`)) },
    { name: "Kiln", pid: kiln.gatewayPid, url: kiln.url, waiting: () => queued(kiln.url) },
  ];
  await using holder = startHolder();
  const rows: string[][] = [];
  const grown: number[] = [];
  const cpus: number[] = [];
  for (const count of [FEW, waiting]) {
    for (const keeper of keepers) {
      const { beforeBytes, heldBytes, cpu } = await hold(keeper, holder, count, seconds * 3_000);
      rows.push([String(count), keeper.name, mb(beforeBytes), mb(heldBytes), `${cpu.toFixed(2)} %`]);
      if (count !== FEW) grown.push(heldBytes - beforeBytes);
      if (keeper.name === "Kiln") cpus.push(cpu);
    }
  }
  const [bare = NaN, own = NaN] = grown;
  const [few = NaN, many = NaN] = cpus;
  return [
    {
      title:
        "Calls that wait at the gateway: resident memory of it in MB, and its CPU time while nothing comes or goes",
      head: ["calls", "what", "before", "while they wait", "of a core"],
      rows,
    },
    {
      title: "Waiting calls",
      head: BUDGET_HEAD,
      rows: [
        budgetRow({ what: `MB for ${waiting} above bare Hono's`, measured: (own - bare) / MB, limit: 100, at: "most" }),
        budgetRow({ what: `% of a core, ${waiting} waiting`, measured: many, limit: 5, at: "most" }),
        budgetRow({ what: `% of a core, ${FEW} waiting`, measured: few, limit: 1, at: "most" }),
      ],
    },
  ];
}

async function hold(keeper: Keeper, holder: Holder, count: number, measureMs: number): Promise<Held> {
  const parties = { keeper: [keeper.pid] };
  const beforeBytes = residentBytes(keeper.pid);
  await holder.hold(keeper.url, CALL, count);
  await arrived(keeper, count);
  await pause(systemClock, Math.min(REST_MS, measureMs));
  const before = cpuMicros(parties);
  const began = performance.now();
  await pause(systemClock, measureMs);
  const micros = used(before, cpuMicros(parties))["keeper"] ?? NaN;
  const cpu = micros / 10 / (performance.now() - began);
  const heldBytes = residentBytes(keeper.pid);
  const answered = await holder.release();
  if (answered > 0) throw new Error(`${answered} of ${count} calls to ${keeper.name} did not wait`);
  await arrived(keeper, 0);
  return { beforeBytes, heldBytes, cpu };
}

async function arrived(keeper: Keeper, count: number): Promise<void> {
  const end = performance.now() + ARRIVAL_MS;
  for (let there = await keeper.waiting(); there !== count; there = await keeper.waiting()) {
    if (performance.now() > end) throw new Error(`${there} calls wait at ${keeper.name}, expected ${count}`);
    await pause(systemClock, POLL_MS);
  }
}

async function queued(url: string): Promise<number> {
  return Number(/^fn_queued (\d+)$/m.exec(await textOf(`${url}/metrics`))?.[1]);
}

async function textOf(url: string): Promise<string> {
  return (await fetch(url)).text();
}

function mb(bytes: number): string {
  return (bytes / MB).toFixed(0);
}
