import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Stands in for gateway/main.ts and runner/main.ts: notes in FAKE_LOG what happens to it. Each argument is
 * something that it does differently: `refuse` to start, never get `ready`, `crash` once it is, be `slow` to end
 * until told a second time, be `deaf`, `fail` to clean up.
 */
const [name = "", ...manners] = process.argv.slice(2);
const note = (what: string) => appendFileSync(process.env["FAKE_LOG"] ?? "", `${name} ${what}\n`);
const does = (manner: string) => manners.includes(manner);

const keptAlive = setInterval(() => {}, 1_000);
let asked = 0;

async function end(reason: string): Promise<void> {
  asked += 1;
  note(reason);
  if (does("deaf") || (does("slow") && asked < 2)) return;
  // As long as calls in flight may take.
  await sleep(50);
  note("ended");
  clearInterval(keptAlive);
  process.exit(does("fail") ? 3 : 0);
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => void end(signal));
process.on("disconnect", () => void end("disconnect"));

note(`started ${process.pid}`);
if (does("refuse")) {
  process.stderr.write(`${name}: port in use, set FN_PORT\n`);
  process.exit(1);
}
if (!does("ready")) process.stdout.write(`a line\n${JSON.stringify({ ready: true, address: `127.0.0.1:${name.length}` })}\n`);
if (does("crash")) {
  await sleep(100);
  process.exit(7);
}
