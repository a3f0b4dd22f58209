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
      - { id: probe, name: probe, image: probe, memory: 32, idle_timeout: 3600 }
`;

/** Bodies of several sizes in either direction: how much goes through, and what each process pays for a MiB. */
export async function measureBodies(options: BenchOptions, generator: Generator): Promise<readonly Table[]> {
  const { rounds, seconds, profile } = options;
  await using kiln = await startKiln({ functions: FUNCTIONS, profile });
  await using subjects = await openSubjects(kiln, generator, "probe", CLIENTS);
  const rows: string[][] = [];
  for (const direction of ["up", "down"] as const) {
    for (const [size, bytes] of Object.entries(SIZES)) {
      const load = { ...orders(direction, bytes), warmUpMs: seconds * 300, measureMs: seconds * 1_000 };
      // What was compiled for the size before may have to be thrown away for this one.
      for (const subject of subjects.all) await measureOnce(subject, generator, CLIENTS, load);
      const measured = await inTurns(subjects.all, generator, rounds, CLIENTS, load);
      for (const [{ name }, figures] of measured) rows.push([`${size} ${direction}`, name, ...cells(figures, bytes)]);
    }
  }
  return [
    {
      title: `Bodies, ${CLIENTS} clients: throughput, CPU-ms per MiB of each process`,
      head: ["body", "what", "MB/s", "gateway ms/MiB", "runner ms/MiB", "function ms/MiB", "load ms/MiB"],
      rows,
    },
  ];
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
