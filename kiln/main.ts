import { dirname, join } from "node:path";
import process from "node:process";

import { nearestName } from "../core/nearest-name.ts";
import { stopOnSignals } from "../core/stop-requests.ts";
import { certs, certsUsage } from "./certs.ts";
import { messageOf } from "./child.ts";
import { importFrom, importUsage } from "./import/import.ts";
import { networks, networksUsage } from "./networks/networks.ts";
import { replay, replayUsage } from "./replay/replay.ts";
import { logs, logsUsage } from "./runner-commands/logs.ts";
import { status, statusUsage } from "./runner-commands/status.ts";
import { readStartArgs, startUsage } from "./start-args.ts";
import { start } from "./start.ts";

const USAGES: Readonly<Record<string, string>> = {
  start: startUsage,
  certs: certsUsage,
  replay: replayUsage,
  import: importUsage,
  networks: networksUsage,
  status: statusUsage,
  logs: logsUsage,
};

// A closed terminal or a reader that left is no reason to leave the children alone.
process.stdout.on("error", () => {});
process.stderr.on("error", () => {});

const write = (text: string) => void process.stdout.write(text);
const complain = (text: string) => void process.stderr.write(text);

const [command = "--help", ...args] = process.argv.slice(2);
let code = 1;
try {
  code = await run();
} catch (error) {
  complain(`${messageOf(error)}\n`);
}
// What was given up on, such as a build, must not hold the process.
process.exit(code);

async function run(): Promise<number> {
  const usage = USAGES[command];
  if (command === "--help" || command === "-h") write(`${Object.values(USAGES).join("\n")}`);
  else if (usage === undefined) return misused();
  else if (args.includes("--help") || args.includes("-h")) write(usage);
  else if (command === "start") return startHere();
  else if (command === "replay") await replay(args, write);
  else if (command === "import") return importFrom(args, { directory: userDirectory(), env: process.env, write });
  else if (command === "networks") await networks(args, process.env["DOCKER_HOST"], write);
  else if (command === "status") return status(args, userDirectory(), write);
  else if (command === "logs") await logsHere();
  else await certs(args, userDirectory(), write);
  return 0;
}

async function startHere(): Promise<number> {
  using stop = stopOnSignals(process);
  return await start({ args: readStartArgs(args, userDirectory()), env: process.env, stop, write, complain });
}

async function logsHere(): Promise<void> {
  using stop = stopOnSignals(process);
  await logs(args, userDirectory(), stop.asked, write);
}

function misused(): number {
  const known = Object.keys(USAGES);
  const meant = nearestName(command, known, 3);
  complain(
    `Unknown command "${command}", ${meant === undefined ? `expected ${known.join(" or ")}` : `did you mean "${meant}"?`}\n`,
  );
  return 2;
}

/** Below npm, which changes to the package's directory: where the user was when they typed the command. */
function userDirectory(): string {
  const { INIT_CWD, npm_package_json } = process.env;
  const ownManifest = join(dirname(import.meta.dirname), "package.json");
  return INIT_CWD !== undefined && npm_package_json === ownManifest ? INIT_CWD : process.cwd();
}
