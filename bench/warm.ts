import { residentBytes } from "./accounts.ts";
import { BUDGET_HEAD, type Budget, budgetRow, callsPerSecond, pathMicros, ratioOf } from "./budget.ts";
import { CALL_HEAD, callCells } from "./call-table.ts";
import { type KilnSystem, startKiln } from "./kiln-system.ts";
import type { Generator } from "./load/generator.ts";
import type { BenchOptions } from "./options.ts";
import { compile, inTurns, type Measurement } from "./rounds.ts";
import { openSubjects } from "./subjects.ts";
import type { Table } from "./table.ts";

const BODY_BYTES = 200;

// So little memory that many fit, and never idle for so long that one leaves.
const functions = (containers: number) => `
apps:
  - name: bench
    fns:
      - { id: hello, name: hello, image: hello, memory: 32, idle_timeout: 3600, min_containers: ${containers} }
`;

/** Cores of which the load may take what it needs: the limit of one call per container is theirs. */
const CORES = 2;

/** Small calls to hot containers: what each process pays for one, and how fast they go. */
export async function measureWarm(options: BenchOptions, generator: Generator): Promise<readonly Table[]> {
  const { clients, rounds, seconds, profile, gateway } = options;
  const most = Math.max(...clients);
  await using kiln = await startKiln({ functions: functions(most), profile, gateway });
  const idle = memoryOf(kiln);
  await using subjects = await openSubjects(kiln, generator, {
    fnId: "hello",
    most,
    pairs: ["bare program", "Connect unary"],
  });
  const load = { headers: {}, requestBytes: BODY_BYTES, warmUpMs: seconds * 300, measureMs: seconds * 1_000 };
  const rows: string[][] = [];
  const budgets: (readonly string[])[] = [];
  for (const many of clients) {
    // As many calls at a time take other ways: what was compiled for one is compiled anew for 16.
    await compile(subjects.all, generator, many, load);
    const measured = await inTurns(subjects.all, generator, rounds, many, load);
    for (const [{ name }, figures] of measured) rows.push([String(many), name, ...callCells(figures)]);
    const named = (wanted: string) => [...measured].find(([{ name }]) => name === wanted)?.[1] ?? [];
    budgets.push(...budgetsAt(many, named("Kiln"), named("bare program")).map(budgetRow));
  }
  const after = memoryOf(kiln);
  return [
    {
      title: `Warm calls with ${BODY_BYTES} B: CPU-µs per call of each process, latency, throughput`,
      head: ["clients", "what", ...CALL_HEAD],
      rows,
    },
    { title: "Kiln against the bare program, median of the rounds' ratios", head: BUDGET_HEAD, rows: budgets },
    {
      title: `Resident memory, MiB: before any call, and after all of them with ${most} containers`,
      head: ["", "gateway", "runner"],
      rows: [
        ["idle", ...idle],
        ["after", ...after],
      ],
    },
  ];
}

function budgetsAt(clients: number, kiln: readonly Measurement[], bare: readonly Measurement[]): readonly Budget[] {
  const at = `${clients} client${clients === 1 ? "" : "s"}`;
  const cpu = ratioOf(pathMicros(kiln), pathMicros(bare));
  const budgets: Budget[] = [{ what: `CPU of gateway and runner, ${at}`, measured: cpu, limit: 1.3, at: "most" }];
  const p50 = (figures: readonly Measurement[]) => figures.map(({ p50Ms }) => p50Ms);
  if (clients === 1)
    budgets.push({ what: "p50, 1 client", measured: ratioOf(p50(kiln), p50(bare)), limit: 1.4, at: "most" });
  if (clients === 64) {
    const possible = kiln.map(({ cpuMicros, calls }) => {
      const perCall = Object.values(cpuMicros).reduce((sum, micros) => sum + micros, 0) / calls;
      return (CORES * 1e6) / perCall;
    });
    const what = `calls/s of what ${CORES} cores allow at that CPU, 64 clients`;
    budgets.push({ what, measured: ratioOf(callsPerSecond(kiln), possible), limit: 0.85, at: "least" });
  }
  return budgets;
}

function memoryOf({ gatewayPid, runnerPid }: KilnSystem): readonly string[] {
  return [gatewayPid, runnerPid].map((pid) => (residentBytes(pid) / 1_048_576).toFixed(0));
}
