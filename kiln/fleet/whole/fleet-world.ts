import { createLog, type Log } from "../../../core/log.ts";
import { VirtualClock } from "../../testing/virtual-clock.ts";
import { promised } from "../broken-promise.ts";
import { chance, type Chance } from "../chance.ts";
import type { FrameTamper } from "../fleet-link.ts";
import type { FleetRunner } from "../fleet-runner.ts";
import { createFleet, type Fleet } from "../fleet.ts";
import { SimClient } from "./sim-client.ts";
import { FUNCTION_NAMES, LEAST_CONTAINERS, simFunctions, type Seen } from "./sim-functions.ts";

export interface FleetFaults {
  readonly tamper?: (chance: Chance) => FrameTamper;
}

/** What a life came to, for a look at what lives are like, and at whether two are the same. */
export interface FleetLife {
  /** Of each client: its status, how it ended and when. */
  readonly ends: readonly string[];
}

const ARRIVALS_MS = 1_500;
/** Longer than every timeout of a call together. */
const PATIENCE_MS = 30_000;
const LATE_NEWS_MS = 500;
const LIMITS = { startTimeoutMs: 200, initTimeoutMs: 300, drainMs: 300, startsAtOnce: 2 };
const GATEWAY_LIMITS = { placerTimeoutMs: 1_000, headroomMs: 2_000, bodyReadTimeoutMs: 2_000 };

/** Lives one seed of a whole fleet through. @throws BrokenPromise, the same each time */
export async function simulateFleet(seed: number, faults: FleetFaults = {}): Promise<FleetLife> {
  const chosen = chance(seed);
  const seen: Seen = { runs: new Map(), broken: [] };
  const ends = new Map<string, number>();
  const clock = new VirtualClock();
  const latency = chosen.below(chosen.happens(0.5) ? 6 : 120);
  const tamper = faults.tamper?.(chosen);
  const fleet = await createFleet({
    runners: 1 + chosen.below(3),
    functions: simFunctions(chosen, seen),
    clock,
    resources: { memoryMiB: 300 + chosen.below(300), cpuMillis: 1_000 },
    limits: LIMITS,
    gatewayLimits: GATEWAY_LIMITS,
    network: { latencyMs: () => chosen.below(latency + 1), ...(tamper === undefined ? {} : { tamper }) },
    seed,
    log: endsLog(ends),
  });
  const clients = arrivals(fleet, chosen);
  trouble(fleet, chosen);
  await clock.run(ARRIVALS_MS + PATIENCE_MS);
  await clients.settled();
  checkCalls(clients.all, seen, ends);
  checkFleet(fleet);
  await fleet[Symbol.asyncDispose]();
  // What is still on a line, and late news of capacity, go nowhere.
  await clock.run(LATE_NEWS_MS);
  promised(clock.pending === 0, `${clock.pending} timers are set after the end`);
  return { ends: clients.all.map(({ status, end, endedMs }) => `${status} ${end} at ${endedMs} ms`) };
}

interface Arrivals {
  readonly all: readonly SimClient[];
  /** @throws what a client threw */
  settled(): Promise<void>;
}

function arrivals({ clock, ...rest }: Fleet, chosen: Chance): Arrivals {
  const all = Array.from(
    { length: 3 + chosen.below(30) },
    (_, index) => new SimClient(index + 1, { clock, ...rest }, chosen),
  );
  const failures: unknown[] = [];
  for (const client of all) {
    const fnId = chosen.pick(FUNCTION_NAMES);
    clock.after(chosen.below(ARRIVALS_MS), () => void client.run(fnId).catch((error: unknown) => failures.push(error)));
  }
  return {
    all,
    async settled() {
      await clock.settle();
      if (failures.length > 0) throw failures[0];
    },
  };
}

/** What befalls machines and cables, and their mending. */
function trouble({ runners, clock }: Fleet, chosen: Chance): void {
  const events = chosen.below(10);
  for (let i = 0; i < events; i++) {
    const runner = chosen.pick(runners);
    const kind = chosen.below(4);
    const noticed = { gatewayAfterMs: chosen.below(100), runnerAfterMs: chosen.below(100) };
    const mendMs = chosen.below(800);
    clock.after(chosen.below(ARRIVALS_MS), () => befall(runner, kind, noticed, mendMs, clock));
  }
}

function befall(
  runner: FleetRunner,
  kind: number,
  noticed: { readonly gatewayAfterMs: number; readonly runnerAfterMs: number },
  mendMs: number,
  clock: VirtualClock,
): void {
  if (kind === 0) return runner.cut(noticed);
  if (kind === 1) {
    runner.isolate();
    return void clock.after(mendMs, () => runner.rejoin());
  }
  if (kind === 2) {
    runner.crash(noticed);
    return void clock.after(mendMs, () => runner.start());
  }
  void runner.drain().then(() => clock.after(mendMs, () => runner.start()));
}

function checkCalls(clients: readonly SimClient[], { runs, broken }: Seen, ends: ReadonlyMap<string, number>): void {
  for (const client of clients) promised(client.end !== undefined, `client ${client.mark} is stuck`);
  promised(broken.length === 0, String(broken[0]));
  for (const [mark, times] of runs) promised(times === 1, `the call of client ${mark} ran ${times} times`);
  for (const [id, times] of ends) promised(times === 1, `call ${id} has ${times} outcomes`);
  promised(ends.size === clients.length, `${clients.length} calls have ${ends.size} outcomes`);
}

function checkFleet({ runners, violations }: Fleet): void {
  promised(violations.length === 0, `the protocol was broken: ${String(violations[0])}`);
  for (const runner of runners) {
    const { active } = runner.runner.status();
    promised(active === 0, `${runner.address} still has ${active} calls`);
    promised(runner.held === 0, `connections to ${runner.address} still hold ${runner.held} calls, bodies and bytes`);
    const { capacity } = runner.runner.hello();
    const { freeMemoryMiB, totalMemoryMiB, idle, starting, waiting, running } = capacity;
    const { containers } = runner;
    promised(starting + waiting + running === 0, `${runner.address} still has calls or starts`);
    promised(containers.length <= LEAST_CONTAINERS, `${runner.address} still has ${containers.length} containers`);
    const known = Object.values(idle).reduce((sum, count) => sum + count, 0);
    promised(known === containers.length, `${runner.address} knows ${known} of ${containers.length} containers`);
    const booked = containers.reduce((sum, { task }) => sum + task.memoryMiB + task.tmpfsMiB, 0);
    promised(totalMemoryMiB - freeMemoryMiB === booked, `${runner.address} books other than its containers' memory`);
  }
}

/** Counts what the gateway says of each call's end. */
function endsLog(ends: Map<string, number>): Log {
  return createLog({
    level: "info",
    format: "json",
    write(line) {
      if (!line.includes('"Call ')) return;
      const { call_id: id } = JSON.parse(line) as { readonly call_id?: string };
      if (id !== undefined) ends.set(id, (ends.get(id) ?? 0) + 1);
    },
  });
}
