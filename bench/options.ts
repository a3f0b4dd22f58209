import { parseArgs } from "node:util";

export const PARTS = ["warm", "bodies", "cold", "freeze", "gigabyte"] as const;
export type Part = (typeof PARTS)[number];

export interface BenchOptions {
  readonly parts: readonly Part[];
  readonly rounds: number;
  /** Clients at a time; each is measured by itself. */
  readonly clients: readonly number[];
  /** Of each measurement, its warm-up apart. */
  readonly seconds: number;
  /** Of the part "gigabyte". */
  readonly bytes: number;
  readonly markdown: boolean;
  /** Where gateway and runner leave their CPU profiles. */
  readonly profile: string | undefined;
}

export const USAGE = `Usage: npm run bench -- [options]

  --only PART      warm, bodies, cold, freeze or gigabyte; may come more than once (all but gigabyte)
  --rounds N       measurements of each kind, in turns with those of their bounds (5)
  --clients N,N    clients at a time, up to 256 (1,16,64)
  --seconds N      length of one measurement (2)
  --bytes N        body of the part gigabyte (1000000000)
  --markdown       tables for a README
  --profile DIR    CPU profiles of gateway and runner
`;

/** @throws Error naming the option that cannot be read */
export function readOptions(args: readonly string[]): BenchOptions | "help" {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: "string", multiple: true },
      rounds: { type: "string", default: "5" },
      clients: { type: "string", default: "1,16,64" },
      seconds: { type: "string", default: "2" },
      bytes: { type: "string", default: "1000000000" },
      markdown: { type: "boolean", default: false },
      profile: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return "help";
  return {
    parts: (values.only ?? ["warm", "bodies", "cold", "freeze"]).map(partOf),
    rounds: integer("rounds", values.rounds, 1, 1_000),
    clients: values.clients.split(",").map((text) => integer("clients", text, 1, 256)),
    seconds: between("seconds", Number(values.seconds), 0.05, 60),
    bytes: integer("bytes", values.bytes, 1, 1e11),
    markdown: values.markdown,
    profile: values.profile,
  };
}

function partOf(text: string): Part {
  const part = PARTS.find((known) => known === text);
  if (part === undefined) throw new Error(`Cannot measure "${text}": expected ${PARTS.join(", ")}`);
  return part;
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
