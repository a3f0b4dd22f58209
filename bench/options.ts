import { parseArgs } from "node:util";

import { type Runtime, RUNTIMES } from "./program.ts";

export const PARTS = [
  "warm",
  "concurrent",
  "freezing",
  "waiting",
  "scale",
  "bodies",
  "cold",
  "freeze",
  "gigabyte",
  "workers",
] as const;
export type Part = (typeof PARTS)[number];
/** Without those that answer questions of their own. */
const USUAL = PARTS.filter((part) => part !== "gigabyte" && part !== "workers");

export interface BenchOptions {
  readonly parts: readonly Part[];
  readonly rounds: number;
  /** Clients at a time; each is measured by itself. */
  readonly clients: readonly number[];
  /** Of each measurement, its warm-up apart. */
  readonly seconds: number;
  /** Of the part "gigabyte". */
  readonly bytes: number;
  /** Calls of the part "waiting". */
  readonly waiting: number;
  /** Of the part "scale". */
  readonly functions: number;
  readonly runners: number;
  readonly gateway: Runtime;
  readonly markdown: boolean;
  /** Where gateway and runner leave their CPU profiles. */
  readonly profile: string | undefined;
}

export const USAGE = `Usage: npm run bench -- [options]

  --only PART      may come more than once; all but gigabyte and workers, unless told. On two cores they take about:
                     warm        180 s  hot calls of 200 B beside their bounds, and memory
                     concurrent   30 s  one container that takes 64 calls at a time
                     freezing     70 s  the same load with idle containers frozen and not (Docker)
                     waiting      50 s  calls that wait at the gateway, beside a bare Hono that holds them
                     scale        90 s  calls where there are many functions, or many runners
                     bodies      200 s  bodies of 200 B to 1 MiB beside a bare pipe
                     cold         60 s  cold starts by phase beside Docker alone (Docker)
                     freeze       20 s  one container's freeze and thaw (Docker)
                     gigabyte     30 s  one very large body
                     workers      40 s  what a second process of the gateway buys, of the runner, and of both
  --rounds N       measurements of each kind, in turns with those of their bounds (3)
  --clients N,N    clients at a time, up to 256 (1,16,64,256)
  --seconds N      length of one measurement (1)
  --bytes N        body of the part gigabyte (1000000000)
  --waiting N      calls of the part waiting (10000)
  --functions N    many functions, of the part scale (10000)
  --runners N      many runners there (50)
  --gateway NAME   what Kiln's gateway runs on, node or deno (node); its bounds stay on Node
  --markdown       tables for a README
  --profile DIR    CPU profiles of gateway and runner
`;

/** @throws Error naming the option that cannot be read */
export function readOptions(args: readonly string[]): BenchOptions | "help" {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: "string", multiple: true },
      rounds: { type: "string", default: "3" },
      clients: { type: "string", default: "1,16,64,256" },
      seconds: { type: "string", default: "1" },
      bytes: { type: "string", default: "1000000000" },
      waiting: { type: "string", default: "10000" },
      functions: { type: "string", default: "10000" },
      runners: { type: "string", default: "50" },
      gateway: { type: "string", default: "node" },
      markdown: { type: "boolean", default: false },
      profile: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return "help";
  return {
    parts: (values.only ?? USUAL).map((text) => oneOf(PARTS, "measure", text)),
    rounds: integer("rounds", values.rounds, 1, 1_000),
    clients: values.clients.split(",").map((text) => integer("clients", text, 1, 256)),
    seconds: between("seconds", Number(values.seconds), 0.05, 60),
    bytes: integer("bytes", values.bytes, 1, 1e11),
    waiting: integer("waiting", values.waiting, 1, 20_000),
    functions: integer("functions", values.functions, 1, 20_000),
    runners: integer("runners", values.runners, 1, 200),
    gateway: oneOf(RUNTIMES, "run the gateway on", values.gateway),
    markdown: values.markdown,
    profile: values.profile,
  };
}

function oneOf<T extends string>(known: readonly T[], what: string, text: string): T {
  const found = known.find((one) => one === text);
  if (found === undefined) throw new Error(`Cannot ${what} "${text}": expected ${known.join(", ")}`);
  return found;
}

function integer(name: string, text: string, min: number, max: number): number {
  const value = between(name, Number(text), min, max);
  if (!Number.isInteger(value)) throw new Error(`Cannot use --${name} ${text}: expected an integer`);
  return value;
}

function between(name: string, value: number, min: number, max: number): number {
  if (value >= min && value <= max) return value;
  throw new Error(`Cannot use --${name} ${value}: expected a number from ${min} to ${max}`);
}
