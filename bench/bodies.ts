import { BUDGET_HEAD, budgetRow, pathMicros, ratioOf } from "./budget.ts";
import { startKiln } from "./kiln-system.ts";
import type { Generator } from "./load/generator.ts";
import type { BenchOptions } from "./options.ts";
import { inTurns, type Load, measureOnce, type Measurement } from "./rounds.ts";
import { openSubjects } from "./subjects.ts";
import { shownSpread, type Table } from "./table.ts";

const CLIENTS = 4;
const SIZES = { "200 B": 200, "64 KiB": 65_536, "1 MiB": 1_048_576 } as const;
const MIB = 1_048_576;

const FUNCTIONS = `
apps:
  - name: bench
    fns:
      - { id: probe, name: probe, image: probe, memory: 32, idle_timeout: 3600, min_containers: ${CLIENTS} }
`;

/** What the line between gateway and runner adds to a round trip, milliseconds. */
const ROUND_TRIPS_MS = [0, 10] as const;

/** Bodies of several sizes in either direction: how much goes through, and what each process pays for a MiB. */
export async function measureBodies(options: BenchOptions, generator: Generator): Promise<readonly Table[]> {
  const tables: Table[] = [];
  const budgets: (readonly string[])[] = [];
  for (const roundTripMs of ROUND_TRIPS_MS) tables.push(await bodiesAt(roundTripMs, options, generator, budgets));
  return [
    ...tables,
    { title: "Kiln against a bare pipe, median of the rounds' ratios", head: BUDGET_HEAD, rows: budgets },
  ];
}

async function bodiesAt(
  roundTripMs: number,
  { rounds, seconds, profile, gateway }: BenchOptions,
  generator: Generator,
  budgets: (readonly string[])[],
): Promise<Table> {
  const delayMs = roundTripMs / 2;
  await using kiln = await startKiln({ functions: FUNCTIONS, profile, gateway, delayMs });
  const wanted = { fnId: "probe", most: CLIENTS, pairs: ["bare pipe"], delayMs } as const;
  await using subjects = await openSubjects(kiln, generator, wanted);
  const rows: string[][] = [];
  for (const direction of ["up", "down"] as const) {
    for (const [size, bytes] of Object.entries(SIZES)) {
      const load = { ...orders(direction, bytes), warmUpMs: seconds * 300, measureMs: seconds * 1_000 };
      // What was compiled for the size before may have to be thrown away for this one; for a single round nobody minds.
      const first = rounds > 1 ? subjects.all : [];
      for (const subject of first) await measureOnce(subject, generator, CLIENTS, load);
      const measured = await inTurns(subjects.all, generator, rounds, CLIENTS, load);
      for (const [{ name }, figures] of measured) rows.push([`${size} ${direction}`, name, ...cells(figures, bytes)]);
      if (bytes < MIB) continue;
      const named = (one: string) => pathMicros([...measured].find(([{ name }]) => name === one)?.[1] ?? []);
      const ratio = ratioOf(named("Kiln"), named("bare pipe"));
      const what = `CPU per MiB, ${size} ${direction}, ${roundTripMs} ms of round trip`;
      budgets.push(budgetRow({ what, measured: ratio, limit: 1.3, at: "most" }));
    }
  }
  return {
    title: `Bodies, ${CLIENTS} clients, ${roundTripMs} ms added to the round trip: throughput, CPU-ms per MiB of each process`,
    head: ["body", "what", "MB/s", "gateway ms/MiB", "runner ms/MiB", "function ms/MiB", "load ms/MiB"],
    rows,
  };
}

/** The probe counts and hashes what comes, or answers with as much as it is told to. */
function orders(direction: "up" | "down", bytes: number): Pick<Load, "headers" | "requestBytes"> {
  if (direction === "up") return { headers: { "probe-control": '{"isEmptyBody":true}' }, requestBytes: bytes };
  const control = JSON.stringify({ outputBytes: bytes, declareLength: true });
  return { headers: { "probe-control": control }, requestBytes: 0 };
}

function cells(figures: readonly Measurement[], bytes: number): string[] {
  const cpu = (party: string) => {
    const values = figures.map(({ cpuMicros, calls }) => (cpuMicros[party] ?? NaN) / 1_000 / ((calls * bytes) / MIB));
    return values.some(Number.isNaN) ? "" : shownSpread(values, bytes < 65_536 ? 0 : 2);
  };
  const megabytesPerSecond = figures.map(({ calls, elapsedMs }) => (calls * bytes) / 1e6 / (elapsedMs / 1_000));
  return [
    shownSpread(megabytesPerSecond, bytes < 65_536 ? 3 : 1),
    ...["gateway", "runner", "function", "load"].map(cpu),
  ];
}
