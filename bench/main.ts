import { availableParallelism, cpus, loadavg, release } from "node:os";
import process from "node:process";

import { measureBodies } from "./bodies.ts";
import { measureCold } from "./cold.ts";
import { measureConcurrent } from "./concurrent.ts";
import { measureFreeze } from "./freeze.ts";
import { measureFreezing } from "./freezing.ts";
import { measureGigabyte } from "./gigabyte.ts";
import { startGenerator } from "./load/generator.ts";
import { type BenchOptions, type Part, readOptions, USAGE } from "./options.ts";
import { measureScale } from "./scale.ts";
import { markdownTable, type Table, textTable } from "./table.ts";
import { measureWaiting } from "./waiting.ts";
import { measureWarm } from "./warm.ts";
import { measureWorkers } from "./workers.ts";

const args = process.argv.slice(2);
try {
  const options = readOptions(args);
  if (options === "help") process.stdout.write(USAGE);
  else await bench(options);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

async function bench(options: BenchOptions): Promise<void> {
  await using generator = startGenerator();
  const shown = options.markdown ? markdownTable : textTable;
  process.stdout.write(`${where()}\nCommand: npm run bench -- ${args.join(" ")}\n${how(options)}\n\n`);
  const parts: Record<Part, () => Promise<readonly Table[]>> = {
    warm: () => measureWarm(options, generator),
    concurrent: () => measureConcurrent(options, generator),
    freezing: () => measureFreezing(options, process.env["DOCKER_HOST"], generator),
    waiting: () => measureWaiting(options),
    scale: () => measureScale(options, generator),
    bodies: () => measureBodies(options, generator),
    cold: () => measureCold(options, process.env["DOCKER_HOST"]),
    freeze: () => measureFreeze(options, process.env["DOCKER_HOST"]),
    gigabyte: () => measureGigabyte(options, generator),
    workers: () => measureWorkers(options, generator),
  };
  for (const part of options.parts) {
    for (const table of await parts[part]()) process.stdout.write(`${shown(table)}\n`);
  }
}

function where(): string {
  const model = cpus()[0]?.model.trim() ?? "unknown";
  const load = loadavg()
    .map((value) => value.toFixed(1))
    .join(" ");
  return `Machine: ${availableParallelism()} × ${model}, Linux ${release()}, Node ${process.version}; load average at the start ${load}`;
}

function how({ parts, rounds, seconds, gateway }: BenchOptions): string {
  const on = gateway === "deno" ? " Kiln's gateway is on Deno." : "";
  if (parts.every((part) => part === "gigabyte" || part === "waiting")) return `One run.${on}`;
  return `Median (least..most) of ${rounds} rounds of ${seconds} s, each subject in turn in every round.${on}`;
}
