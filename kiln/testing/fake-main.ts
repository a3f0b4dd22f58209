import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Stands in for gateway/main.ts and runner/main.ts: notes in FAKE_LOG what happens to it. Each argument is
 * something that it does otherwise: `refuse` to start, be `mute` instead of ready, be `slow` to end until told a
 * second time, be `deaf` to that too, `fail` in the end.
 */
const [name = "", ...manners] = process.argv.slice(2);
const note = (what: string) => appendFileSync(process.env["FAKE_LOG"] ?? "", `${name} ${what}\n`);
const keptAlive = setInterval(() => {}, 1_000);
let asked = 0;

async function stop(reason: string): Promise<void> {
  asked += 1;
  note(reason);
  if (manners.includes("deaf") || (manners.includes("slow") && asked < 2)) return;
  // As long as calls in flight may take.
  await sleep(50);
  note("ended");
  leave(manners.includes("fail") ? 3 : 0);
}

function leave(code: number): void {
  process.removeAllListeners("disconnect");
  clearInterval(keptAlive);
  if (process.connected) process.disconnect();
  process.exitCode = code;
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => void stop(signal));
process.on("disconnect", () => void stop("disconnect"));

note(`started ${process.pid}`);
if (manners.includes("refuse")) {
  process.stderr.write(`${name}: the port is in use, set FN_PORT to another\n`);
  leave(1);
} else if (!manners.includes("mute")) {
  process.stdout.write(`said before\n${JSON.stringify({ ready: true, address: `127.0.0.1:${name}` })}\n`);
}
