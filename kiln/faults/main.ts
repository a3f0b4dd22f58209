import process from "node:process";
import { parseArgs } from "node:util";

import { namespacesOrSkip } from "../testing/two-machines.ts";
import { FAULTS } from "./faults.ts";

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "60" }, clients: { type: "string", default: "64" } },
});
const options = { seconds: Number(values.seconds), clients: Number(values.clients) };
if (!(options.seconds > 0 && options.clients > 0)) {
  process.stderr.write("Cannot run: --seconds and --clients are numbers above 0\n");
  process.exit(2);
}

process.stdout.write(`${options.clients} clients, each fault for ${options.seconds} s\n\n`);
process.stdout.write("| fault | calls | ran | ran twice | without an outcome | not 2xx |\n|---|---|---|---|---|---|\n");
const skipped = await namespacesOrSkip();
let broken = false;
for (const [name, fault] of Object.entries(FAULTS)) {
  if (name.startsWith("drop") && skipped !== false) {
    process.stdout.write(`| ${name} | skipped: ${skipped} |\n`);
    continue;
  }
  const { calls, ran, ranTwice, unanswered, outcomes } = await fault(options);
  const failed = Object.entries(outcomes).filter(([outcome]) => outcome !== "200");
  const shown = failed.map(([outcome, count]) => `${count} × ${outcome}`).join(", ") || "none";
  process.stdout.write(`| ${name} | ${calls} | ${ran} | ${ranTwice} | ${unanswered} | ${shown} |\n`);
  broken ||= ranTwice > 0 || unanswered > 0;
}
process.exit(broken ? 1 : 0);
