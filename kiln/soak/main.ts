import process from "node:process";
import { parseArgs } from "node:util";

import { connectEngine } from "../../runner/driver/docker/engine.ts";
import { leaks, soakStart } from "./soak-start.ts";

const USAGE = `Usage: npm run soak:start -- [--seconds N] [--clients N] [--seed N]

Runs npm start on Docker under a mix of calls (sizes, slow ends, dying functions, clients that leave), lets it come to
rest, and counts what it still holds: containers, socket directories, booked memory, open files, timers and sockets.
  --seconds   how long, 60 by default
  --clients   how many at once, 64 by default
  --seed      another one for other calls
`;

process.exitCode = await main();

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "60" },
      clients: { type: "string", default: "64" },
      seed: { type: "string", default: "1" },
      help: { type: "boolean" },
    },
  });
  const [seconds, clients, seed] = [Number(values.seconds), Number(values.clients), Number(values.seed)];
  const sound = [seconds, clients, seed].every((number) => Number.isSafeInteger(number) && number > 0);
  if (values.help === true || !sound) {
    (sound ? process.stdout : process.stderr).write(USAGE);
    return sound ? 0 : 1;
  }
  const docker = connectEngine({ host: process.env["DOCKER_HOST"] });
  const report = await soakStart({ docker, seconds, clients, seed });
  const { calls, endings, before, after } = report;
  process.stdout.write(`${calls} calls: ${JSON.stringify(endings)}\n`);
  process.stdout.write(`before: ${JSON.stringify(before)}\nafter:  ${JSON.stringify(after)}\n`);
  const found = leaks(report);
  process.stdout.write(found.length === 0 ? "Nothing leaked\n" : `Leaked:\n  ${found.join("\n  ")}\n`);
  return found.length === 0 ? 0 : 1;
}
