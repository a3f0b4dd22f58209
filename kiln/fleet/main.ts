import process from "node:process";
import { parseArgs } from "node:util";

import { describeSeed, searchSeeds } from "./search-seeds.ts";
import { simulateSessions } from "./sessions/session-world.ts";
import { simulateFleet } from "./whole/fleet-world.ts";

const USAGE = `Usage: npm run simulate -- [--level sessions|fleet|all] [--seeds COUNT] [--from SEED] [--seed SEED]

Lives through any order of events that seeds choose, and stops at the first that breaks a promise.
  --level   what to simulate: both ends of sessions, whole fleets, or both (by default)
  --seeds   how many, 10000 by default; of fleets, which are slower, a hundredth of them
  --from    the first one, 1 by default
  --seed    just this one
`;

const LEVELS = {
  sessions: { run: simulateSessions, share: 1 },
  fleet: { run: async (seed: number) => void (await simulateFleet(seed)), share: 0.01 },
};

const REPORT_EVERY = 10_000;

process.exitCode = await main();

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      level: { type: "string", default: "all" },
      seeds: { type: "string", default: "10000" },
      from: { type: "string", default: "1" },
      seed: { type: "string" },
      help: { type: "boolean" },
    },
  });
  const [seeds, from, only] = [Number(values.seeds), Number(values.from), Number(values.seed ?? 1)];
  const chosen = Object.entries(LEVELS).filter(([level]) => values.level === "all" || values.level === level);
  const sound = chosen.length > 0 && [seeds, from, only].every((number) => Number.isSafeInteger(number) && number > 0);
  if (values.help === true || !sound) {
    (sound ? process.stdout : process.stderr).write(USAGE);
    return sound ? 0 : 1;
  }
  for (const [level, { run, share }] of chosen) {
    const range = values.seed === undefined ? { from, seeds: Math.ceil(seeds * share) } : { from: only, seeds: 1 };
    if (!(await search(level, run, range))) return 1;
  }
  return 0;
}

async function search(
  level: string,
  run: (seed: number) => void | Promise<void>,
  range: { readonly from: number; readonly seeds: number },
): Promise<boolean> {
  const began = performance.now();
  const watched = (seed: number) => {
    const done = seed - range.from;
    if (done > 0 && done % REPORT_EVERY === 0) process.stdout.write(`${level}: ${done} seeds, none broken\n`);
    return run(seed);
  };
  const found = await searchSeeds(watched, range);
  if (found !== undefined) process.stdout.write(`${describeSeed(level, found)}\n`);
  else
    process.stdout.write(`${level}: ${range.seeds} seeds, none broken, ${Math.round(performance.now() - began)} ms\n`);
  return found === undefined;
}
