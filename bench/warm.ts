import { startKiln } from "./kiln-system.ts";
import type { Generator } from "./load/generator.ts";
import type { BenchOptions } from "./options.ts";
import { inTurns, measureOnce, type Measurement } from "./rounds.ts";
import { openSubjects } from "./subjects.ts";
import { shownSpread, type Table } from "./table.ts";

const BODY_BYTES = 200;

// So little memory that many fit, and never idle for so long that one leaves.
const FUNCTIONS = `
apps:
  - name: bench
    fns:
      - { id: hello, name: hello, image: hello, memory: 32, idle_timeout: 3600 }
`;

/** Small calls to hot containers: what each process pays for one, and how fast they go. */
export async function measureWarm(options: BenchOptions, generator: Generator): Promise<readonly Table[]> {
  const { clients, rounds, seconds, profile } = options;
  await using kiln = await startKiln({ functions: FUNCTIONS, profile });
  const most = Math.max(...clients);
  await using subjects = await openSubjects(kiln, generator, "hello", most);
  const load = { headers: {}, requestBytes: BODY_BYTES, warmUpMs: seconds * 300, measureMs: seconds * 1_000 };
  // Compilers have their say before anything counts.
  for (const subject of subjects.all) await measureOnce(subject, generator, most, load);
  const rows: string[][] = [];
  for (const many of clients) {
    const measured = await inTurns(subjects.all, generator, rounds, many, load);
    for (const [{ name }, figures] of measured) rows.push([String(many), name, ...cells(figures)]);
  }
  return [
    {
      title: `Warm calls with ${BODY_BYTES} B: CPU-µs per call of each process, latency, throughput`,
      head: ["clients", "what", "gateway µs", "runner µs", "function µs", "load µs", "p50 ms", "p99 ms", "calls/s"],
      rows,
    },
  ];
}

function cells(figures: readonly Measurement[]): string[] {
  const cpu = (party: string) => {
    const values = figures.map(({ cpuMicros, calls }) => (cpuMicros[party] ?? NaN) / calls);
    return values.some(Number.isNaN) ? "" : shownSpread(values);
  };
  return [
    ...["gateway", "runner", "function", "load"].map(cpu),
    shownSpread(
      figures.map(({ p50Ms }) => p50Ms),
      2,
    ),
    shownSpread(
      figures.map(({ p99Ms }) => p99Ms),
      2,
    ),
    shownSpread(figures.map(({ calls, elapsedMs }) => (calls * 1_000) / elapsedMs)),
  ];
}
