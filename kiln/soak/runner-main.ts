import process from "node:process";
import { parseArgs } from "node:util";

import { connectEngine } from "../../runner/driver/docker/engine.ts";
import { soakRunner } from "./soak-runner.ts";

const DEFAULTS = {
  functions: "200",
  calls: "10000",
  containers: "20",
  clients: "12",
  exponent: "2.2",
  pool: "8",
  seed: "1",
  seconds: "540",
} as const;

const USAGE = `Usage: npm run soak -- [--functions N] [--calls N] [--containers N] [--clients N] [--seconds N] …

Runs functions of many tenants on a Docker runner too small for them, so that it evicts and freezes all the time, drains
it, and counts what it still holds: calls, slots, booked memory and CPU, containers, network attachments, socket
directories, open files, timers.
  --functions   how many, ${DEFAULTS.functions} by default
  --calls       how many, ${DEFAULTS.calls} by default
  --containers  what the runner can hold, ${DEFAULTS.containers} by default
  --clients     how many at once, ${DEFAULTS.clients} by default
  --exponent    of the Zipf distribution, ${DEFAULTS.exponent} by default
  --pool        network namespaces kept ready, ${DEFAULTS.pool} by default; 0 for none
  --seconds     after which no call begins, ${DEFAULTS.seconds} by default
  --seed        another one for other calls
`;

process.exitCode = await main();

async function main(): Promise<number> {
  const option = (name: keyof typeof DEFAULTS) => ({ type: "string", default: DEFAULTS[name] }) as const;
  const { values } = parseArgs({
    options: {
      functions: option("functions"),
      calls: option("calls"),
      containers: option("containers"),
      clients: option("clients"),
      exponent: option("exponent"),
      pool: option("pool"),
      seed: option("seed"),
      seconds: option("seconds"),
      help: { type: "boolean" },
    },
  });
  const { help, ...texts } = values;
  const sound = Object.values(texts).every((text) => Number(text) >= 0);
  if (help === true || !sound) {
    (sound ? process.stdout : process.stderr).write(USAGE);
    return sound ? 0 : 1;
  }
  const calls = Number(texts.calls);
  const host = process.env["DOCKER_HOST"];
  const report = await soakRunner({
    docker: connectEngine({ host }),
    host,
    functions: Number(texts.functions),
    calls,
    containers: Number(texts.containers),
    clients: Number(texts.clients),
    exponent: Number(texts.exponent),
    pool: Number(texts.pool),
    seed: Number(texts.seed),
    mostSeconds: Number(texts.seconds),
  });
  const write = (line: string) => process.stdout.write(`${line}\n`);
  write(
    `${report.calls} calls of ${report.called} functions in ${report.seconds} s: ${JSON.stringify(report.endings)}`,
  );
  write(`${report.refusals} refusals, after which calls were offered again`);
  write(`${report.containers} containers were seen, those of the pool included`);
  for (const line of report.counters) write(line);
  const missing = report.calls < calls ? [`calls: ${calls - report.calls} did not fit into the time`] : [];
  const found = [...report.leaks, ...missing];
  write(found.length === 0 ? "Nothing leaked" : `Left:\n  ${found.join("\n  ")}`);
  return found.length === 0 ? 0 : 1;
}
