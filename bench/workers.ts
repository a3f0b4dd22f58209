import { childrenOf } from "./accounts.ts";
import { callsPerSecond } from "./budget.ts";
import { CALL_HEAD, callCells } from "./call-table.ts";
import { type KilnSystem, startKiln } from "./kiln-system.ts";
import type { Generator } from "./load/generator.ts";
import type { BenchOptions } from "./options.ts";
import { compile, inTurns } from "./rounds.ts";
import { spread } from "./statistics.ts";
import type { Subject } from "./subjects.ts";
import type { Table } from "./table.ts";

const CLIENTS = 64;
const BODY_BYTES = 200;
const COUNTS = [1, 2];

// One function process for each runner, so that the machine's cores are left to gateways and runners.
const FUNCTIONS = `
apps:
  - name: bench
    fns:
      - { id: hello, name: hello, image: hello, memory: 32, idle_timeout: 3600, concurrency: ${CLIENTS}, max_containers: 1 }
`;

/** What a second worker of the gateway buys, one of the runner, and one of both. */
export async function measureWorkers(options: BenchOptions, generator: Generator): Promise<readonly Table[]> {
  const { rounds, seconds } = options;
  await using made = new AsyncDisposableStack();
  const subjects: Subject[] = [];
  for (const gateways of COUNTS) {
    for (const runners of COUNTS) {
      const kiln = made.use(
        await startKiln({
          functions: FUNCTIONS,
          gatewayEnv: { FN_WORKERS: String(gateways) },
          runnerEnv: { FN_WORKERS: String(runners) },
          profile: undefined,
          gateway: undefined,
        }),
      );
      subjects.push(subjectOf(`${gateways} × gateway, ${runners} × runner`, kiln, runners, generator.pid));
    }
  }
  const load = { headers: {}, requestBytes: BODY_BYTES, warmUpMs: seconds * 300, measureMs: seconds * 1_000 };
  await compile(subjects, generator, CLIENTS, load);
  const measured = [...(await inTurns(subjects, generator, rounds, CLIENTS, load))];
  const single = callsPerSecond(measured[0]?.[1] ?? []);
  const gains = measured.map(([, figures]) =>
    spread(callsPerSecond(figures).map((rate, round) => rate / (single[round] ?? NaN))).median.toFixed(2),
  );
  return [
    {
      title: `${CLIENTS} clients, functions that take ${CLIENTS} calls at a time; the parents of workers are counted with them`,
      head: ["what", ...CALL_HEAD, "× the first"],
      rows: measured.map(([{ name }, figures], index) => [name, ...callCells(figures), gains[index] ?? ""]),
    },
  ];
}

function subjectOf(name: string, kiln: KilnSystem, runners: number, loadPid: number): Subject {
  const target = { origin: kiln.url, path: "/invoke/hello" };
  const runnerWorkers = runners === 1 ? [] : childrenOf(kiln.runnerPid);
  return {
    name,
    targets: (clients) => Array.from({ length: clients }, () => target),
    parties: {
      gateway: [kiln.gatewayPid, ...childrenOf(kiln.gatewayPid)],
      runner: [kiln.runnerPid, ...runnerWorkers],
      load: [loadPid],
    },
  };
}
