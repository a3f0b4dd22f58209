import { BUDGET_HEAD, budgetRow, callsPerSecond, pathMicros, ratioOf } from "./budget.ts";
import { CALL_HEAD, callCells } from "./call-table.ts";
import { startKiln } from "./kiln-system.ts";
import type { Generator } from "./load/generator.ts";
import type { BenchOptions } from "./options.ts";
import { compile, inTurns } from "./rounds.ts";
import { openSubjects } from "./subjects.ts";
import type { Table } from "./table.ts";

const CLIENTS = 64;
const BODY_BYTES = 200;

const functions = (concurrency: number) => `
apps:
  - name: bench
    fns:
      - { id: hello, name: hello, image: hello, memory: 32, idle_timeout: 3600, concurrency: ${concurrency}, max_containers: 1 }
`;

/** One container that takes as many calls at a time as there are clients, for Kiln and for the bare program. */
export async function measureConcurrent(options: BenchOptions, generator: Generator): Promise<readonly Table[]> {
  const { rounds, seconds, profile, gateway } = options;
  const clients = Math.min(CLIENTS, Math.max(...options.clients));
  await using kiln = await startKiln({ functions: functions(clients), profile, gateway });
  const wanted = { fnId: "hello", most: 1, callsEach: clients, pairs: ["bare program"] } as const;
  await using subjects = await openSubjects(kiln, generator, wanted);
  const load = { headers: {}, requestBytes: BODY_BYTES, warmUpMs: seconds * 300, measureMs: seconds * 1_000 };
  await compile(subjects.all, generator, clients, load);
  const measured = await inTurns(subjects.all, generator, rounds, clients, load);
  const named = (wanted: string) => [...measured].find(([{ name }]) => name === wanted)?.[1] ?? [];
  const [kilns, bare] = [named("Kiln"), named("bare program")];
  const throughput = ratioOf(callsPerSecond(kilns), callsPerSecond(bare));
  const cpu = ratioOf(pathMicros(kilns), pathMicros(bare));
  return [
    {
      title: `${clients} clients, one container that takes ${clients} calls at a time`,
      head: ["what", ...CALL_HEAD],
      rows: [...measured].map(([{ name }, figures]) => [name, ...callCells(figures)]),
    },
    {
      title: "Kiln against the bare program, median of the rounds' ratios",
      head: BUDGET_HEAD,
      rows: [
        budgetRow({ what: "calls/s, one container", measured: throughput, limit: 0.75, at: "least" }),
        budgetRow({ what: "CPU of gateway and runner, one container", measured: cpu, limit: 1.3, at: "most" }),
      ],
    },
  ];
}
