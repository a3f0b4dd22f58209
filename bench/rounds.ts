import { cpuMicros, used } from "./accounts.ts";
import type { Generator } from "./load/generator.ts";
import type { Job, LoadResult } from "./load/job.ts";
import type { Subject } from "./subjects.ts";

export interface Measurement extends LoadResult {
  /** By party. */
  readonly cpuMicros: Readonly<Record<string, number>>;
}

export type Load = Omit<Job, "targets" | "maxCallsEach">;

const MOST_CALLS_EACH = 1_000_000;
/** What the hottest code takes to be compiled for good. */
const COMPILED_AFTER_CALLS = 10_000;
/** How long a slow machine may take for it; who measures for a moment only wants no more than a moment's. */
const COMPILED_AFTER_MS = 15_000;
const COMPILED_AFTER_MEASURES = 4;

/** Lets compilers have their say before anything counts. */
export async function compile(
  subjects: readonly Subject[],
  generator: Generator,
  clients: number,
  load: Load,
): Promise<void> {
  const maxCallsEach = Math.ceil(COMPILED_AFTER_CALLS / clients);
  const measureMs = Math.min(COMPILED_AFTER_MS, COMPILED_AFTER_MEASURES * load.measureMs);
  const job = { ...load, warmUpMs: 0, measureMs, maxCallsEach };
  for (const subject of subjects) await generator.run({ ...job, targets: subject.targets(clients) }, () => {});
}

/**
 * Measures each subject once in every round, in turns: what else the machine does then meets them all alike.
 * @returns the measurements of each, a round at a place
 */
export async function inTurns(
  subjects: readonly Subject[],
  generator: Generator,
  rounds: number,
  clients: number,
  load: Load,
): Promise<ReadonlyMap<Subject, readonly Measurement[]>> {
  const measured = new Map(subjects.map((subject) => [subject, [] as Measurement[]]));
  for (let round = 0; round < rounds; round++) {
    // Nobody is always the first.
    const turned = [...subjects.slice(round % subjects.length), ...subjects.slice(0, round % subjects.length)];
    for (const subject of turned) measured.get(subject)?.push(await measureOnce(subject, generator, clients, load));
  }
  return measured;
}

export async function measureOnce(
  subject: Subject,
  generator: Generator,
  clients: number,
  load: Load,
): Promise<Measurement> {
  let before: Record<string, number> = {};
  const job = { ...load, targets: subject.targets(clients), maxCallsEach: MOST_CALLS_EACH };
  const result = await generator.run(job, () => (before = cpuMicros(subject.parties)));
  return { ...result, cpuMicros: used(before, cpuMicros(subject.parties)) };
}
