import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { Agent } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { pause, systemClock } from "../../core/clock.ts";
import type { Docker } from "../../runner/driver/docker/engine.ts";
import { chance } from "../fleet/chance.ts";
import { probeFunctions } from "../testing/probe-calls.ts";
import { started, type Started } from "../testing/started.ts";
import { countAll, type Counts } from "./counts.ts";
import { FUNCTIONS, soakCall, TIMEOUT_S } from "./soak-client.ts";

export interface SoakOptions {
  readonly docker: Docker;
  readonly seconds: number;
  readonly clients: number;
  readonly seed: number;
}

export interface SoakReport {
  readonly calls: number;
  /** How many calls ended how. */
  readonly endings: Readonly<Record<string, number>>;
  /** At rest: before the load, with all that a first call opens, and after it. */
  readonly before: Counts;
  readonly after: Counts;
}

const REST_WITHIN_MS = 60_000;
const IDLE_S = 1;
const SPARE_DIRECTORIES = 8;

/** Runs `npm start` on Docker, loads it for so long, lets it come to rest, and counts what it holds. */
export async function soakStart({ docker, seconds, clients, seed }: SoakOptions): Promise<SoakReport> {
  await using made = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "kiln-soak-"));
  made.defer(() => rm(directory, { recursive: true }));
  const functionsFile = join(directory, "functions.yaml");
  const fields = { timeout: TIMEOUT_S, idle_timeout: IDLE_S };
  await writeFile(functionsFile, probeFunctions(Object.fromEntries(FUNCTIONS.map((id) => [id, fields]))));
  const resourceFiles = join(directory, "resources");
  const reporter = new URL("report-resources.ts", import.meta.url);
  reporter.searchParams.set("to", resourceFiles);
  const kiln = made.use(
    await started([], {
      FN_FUNCTIONS_FILE: functionsFile,
      FN_ADMIN_PORT: "0",
      FN_IOFS_SPARE: String(SPARE_DIRECTORIES),
      FN_MAX_TOTAL_MEMORY_BYTES: String(1024 ** 3),
      NODE_OPTIONS: `--import=${reporter.href}`,
    }),
  );
  const count = () => countAll({ kiln, docker, resourceFiles, spareDirectories: SPARE_DIRECTORIES });

  await load(kiln, { seconds: Math.min(2, seconds), clients, seed });
  const before = await atRest(count);
  const endings = await load(kiln, { seconds, clients, seed: seed + 1 });
  const after = await atRest(count, before);
  const calls = Object.values(endings).reduce((sum, times) => sum + times, 0);
  return { calls, endings, before, after };
}

/** What is not as it should be at rest, or as it was before the load; empty where nothing leaked. */
export function leaks({ before, after }: Pick<SoakReport, "before" | "after">): readonly string[] {
  const found: string[] = [];
  const expect = (what: string, now: number, most: number) => {
    if (now > most) found.push(`${what}: ${now}, expected ${most}`);
  };
  expect("containers", after.containers, 0);
  // Fewer than the spare ones are not at rest yet: one that is left could be among them.
  if (after.socketDirectories !== after.spareDirectories) {
    found.push(`socket directories: ${after.socketDirectories}, expected ${after.spareDirectories} spare ones`);
  }
  expect("calls queued in the runner", after.runner.queued, 0);
  expect("calls running in the runner", after.runner.running, 0);
  expect("bytes of memory booked in the runner", after.runner.bookedBytes, 0);
  for (const side of ["gateway", "runnerProcess"] as const) {
    expect(`open files of the ${side}`, after[side].files, before[side].files);
    for (const [kind, times] of Object.entries(after[side].resources)) {
      expect(`${kind} of the ${side}`, times, before[side].resources[kind] ?? 0);
    }
  }
  return found;
}

async function load(
  kiln: Started,
  { seconds, clients, seed }: Pick<SoakOptions, "seconds" | "clients" | "seed">,
): Promise<Readonly<Record<string, number>>> {
  const agent = new Agent({ keepAlive: true });
  const endings: Record<string, number> = {};
  const until = performance.now() + seconds * 1_000;
  const client = async (number: number) => {
    const own = chance(seed * 1_000 + number);
    while (performance.now() < until) {
      const ending = await soakCall(kiln.url, agent, own);
      endings[ending] = (endings[ending] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, number) => client(number)));
  agent.destroy();
  return endings;
}

/** The counts once nothing moves any more; the last ones if it does not come to that. */
async function atRest(count: () => Promise<Counts>, before?: Counts): Promise<Counts> {
  const until = performance.now() + REST_WITHIN_MS;
  for (;;) {
    const after = await count();
    const unrest = leaks({ before: before ?? after, after });
    if (unrest.length === 0 || performance.now() > until) return after;
    await pause(systemClock, 500);
  }
}
