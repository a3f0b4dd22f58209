import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { ensureDevPki } from "../kiln/dev-pki.ts";
import { BUDGET_HEAD, boundRow, budgetRow, pathMicros, ratioOf } from "./budget.ts";
import { CALL_HEAD, callCells } from "./call-table.ts";
import { profiled, startGateway } from "./kiln-system.ts";
import type { Generator } from "./load/generator.ts";
import type { Target } from "./load/job.ts";
import type { BenchOptions } from "./options.ts";
import { type Program, startProgram } from "./program.ts";
import { compile, inTurns } from "./rounds.ts";
import type { Subject } from "./subjects.ts";
import type { Table } from "./table.ts";

const FEW = 10;
/** At one, calls that go to different runners cost what calls to the same one do; of more, fewer share a message. */
const CLIENTS = [1, 16] as const;
const HEATING = 16;
const BODY_BYTES = 200;
const MEMORY_MIB = 32;
/** Calls of one function before its client goes on to the next: a connection to a container is kept for a second. */
const IN_A_ROW = 10;
const HEAT_MS = 120_000;

interface Size {
  readonly functions: number;
  readonly runners: number;
}

/** Where all of this part's subjects run. */
interface Site {
  readonly directory: string;
  readonly probe: Program;
  readonly generator: Generator;
  readonly made: AsyncDisposableStack;
  readonly options: BenchOptions;
}

/**
 * What a call costs where there are many functions, each with a container, or many runners; and what many runners cost
 * the bare program, whose calls share messages with fewer others just as well.
 */
export async function measureScale(options: BenchOptions, generator: Generator): Promise<readonly Table[]> {
  const { rounds, seconds } = options;
  await using made = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "kiln-bench-"));
  made.defer(() => rm(directory, { recursive: true, force: true }));
  await ensureDevPki(join(directory, "pki"));
  const main = join(import.meta.dirname, "scale/function.ts");
  const probe = made.use(await startProgram({ main, args: [join(directory, "function.sock")] }));
  const site: Site = { directory, probe, generator, made, options };
  const few = await openKiln({ functions: FEW, runners: 1 }, site);
  const manyFunctions = await openKiln({ functions: options.functions, runners: 1 }, site);
  const manyRunners = await openKiln({ functions: FEW, runners: options.runners }, site);
  const bareFew = await openBare({ functions: FEW, runners: 1 }, site);
  const bareMany = await openBare({ functions: FEW, runners: options.runners }, site);
  const subjects = [few, manyFunctions, manyRunners, bareFew, bareMany];

  const load = { headers: {}, requestBytes: BODY_BYTES, warmUpMs: seconds * 300, measureMs: seconds * 1_000 };
  await compile(subjects, generator, HEATING, load);
  const rows: string[][] = [];
  const budgets: (readonly string[])[] = [];
  for (const clients of CLIENTS) {
    const measured = await inTurns(subjects, generator, rounds, clients, load);
    for (const [{ name }, figures] of measured) rows.push([String(clients), name, ...callCells(figures)]);
    const micros = (subject: Subject) => pathMicros(measured.get(subject) ?? []);
    const what = ({ name }: Subject) => `${name}, ${clients} client${clients === 1 ? "" : "s"}`;
    for (const many of [manyFunctions, manyRunners]) {
      const measuredRatio = ratioOf(micros(many), micros(few));
      budgets.push(budgetRow({ what: what(many), measured: measuredRatio, limit: 1.1, at: "most" }));
    }
    budgets.push(boundRow(what(bareMany), ratioOf(micros(bareMany), micros(bareFew))));
  }
  return [
    {
      title: `Clients that go from function to function, ${IN_A_ROW} calls each, a container for each function`,
      head: ["clients", "what", ...CALL_HEAD],
      rows,
    },
    {
      title: "CPU of gateway and runner against few functions on one runner, median of the rounds' ratios",
      head: BUDGET_HEAD,
      rows: budgets,
    },
  ];
}

async function openKiln(size: Size, { directory, probe, generator, made, options }: Site): Promise<Subject> {
  const { functions, runners } = size;
  const { profile, gateway: runtime } = options;
  const pki = join(directory, "pki");
  // Each runner could hold the containers of all functions.
  const memory = 2 * functions * MEMORY_MIB;
  const args = [pki, probe.address, String(runners), String(memory)];
  const main = join(import.meta.dirname, "scale/runners.ts");
  const ownProfile = profile && join(profile, `${functions}-functions-${runners}-runners`);
  const runner = made.use(await startProgram({ main, args, execArgv: profiled(ownProfile, "runner") }));
  const plan = { directory, functions: functionsOf(functions), runners: runner.address, runtime, profile: ownProfile };
  const gateway = made.use(await startGateway(plan));
  const origin = `http://${gateway.address}`;
  const targets = Array.from({ length: HEATING }, (_, client) => part(origin, functions, client, HEATING, 1));
  const load = { headers: {}, requestBytes: BODY_BYTES, warmUpMs: 0, measureMs: HEAT_MS };
  const heat = { ...load, targets, maxCallsEach: Math.ceil(functions / HEATING) };
  await generator.run(heat, () => {});
  return subjectOf(sizeOf(size), functions, { gateway, runner }, { probe, generator });
}

/** Its runners share their containers, and a function's calls go to the runner that its first one went to. */
async function openBare(size: Size, { directory, probe, generator, made }: Site): Promise<Subject> {
  const pki = join(directory, "pki");
  const main = (side: string) => join(import.meta.dirname, `bare/${side}.ts`);
  const sockets = Array.from({ length: Math.max(...CLIENTS) }, () => probe.address);
  const args = ["--addresses", String(size.runners), pki, ...sockets];
  const runner = made.use(await startProgram({ main: main("runner"), args }));
  const gateway = made.use(await startProgram({ main: main("gateway"), args: [runner.address, pki] }));
  return subjectOf(`bare program, ${sizeOf(size)}`, size.functions, { gateway, runner }, { probe, generator });
}

function sizeOf({ functions, runners }: Size): string {
  return `${functions} functions, ${runners} runner${runners === 1 ? "" : "s"}`;
}

function subjectOf(
  name: string,
  functions: number,
  { gateway, runner }: { readonly gateway: Program; readonly runner: Program },
  { probe, generator }: Pick<Site, "probe" | "generator">,
): Subject {
  const origin = `http://${gateway.address}`;
  return {
    name,
    targets: (clients) =>
      Array.from({ length: clients }, (_, client) => part(origin, functions, client, clients, IN_A_ROW)),
    parties: { gateway: [gateway.pid], runner: [runner.pid], function: [probe.pid], load: [generator.pid] },
  };
}

/** The functions that one client calls: no two clients the same, where there are enough. */
function part(origin: string, functions: number, client: number, clients: number, inARow: number): Target {
  const each = Math.ceil(functions / clients);
  const from = (client * each) % functions;
  const walk = { from, count: Math.min(each, functions - from), inARow };
  return { origin, path: "/invoke/fn-", walk };
}

function functionsOf(count: number): string {
  const settings = `image: any, memory: ${MEMORY_MIB}, idle_timeout: 3600, concurrency: 64`;
  const fns = Array.from({ length: count }, (_, i) => `      - { id: fn-${i}, name: fn-${i}, ${settings} }\n`);
  return `apps:\n  - name: bench\n    fns:\n${fns.join("")}`;
}
