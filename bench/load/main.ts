import process from "node:process";

import type { FromGenerator, ToGenerator } from "./job.ts";
import { openClients } from "./run-job.ts";

// Whatever hangs, a generator whose job is long over ends.
const LATE_MS = 120_000;

const go: (() => void)[] = [];

process.on("disconnect", () => process.exit(0));
process.on("message", (message: ToGenerator) => {
  if (message.type === "go") return go.shift()?.();
  const { job } = message;
  const watchdog = setTimeout(() => process.exit(1), job.warmUpMs + job.measureMs + LATE_MS);
  void run(job).finally(() => clearTimeout(watchdog));
});

async function run(job: Extract<ToGenerator, { type: "job" }>["job"]): Promise<void> {
  await using clients = openClients(job);
  await clients.warmUp();
  const told = new Promise<void>((resolve) => go.push(resolve));
  tell({ type: "warm" });
  await told;
  tell({ type: "done", result: await clients.measure() });
}

function tell(message: FromGenerator): void {
  process.send?.(message);
}
