import { writeFileSync } from "node:fs";
import process from "node:process";

// Node's test runner hands on all of its options, one of which would have this signal write a file of Node's own.
process.report.reportOnSignal = false;

const to = new URL(import.meta.url).searchParams.get("to");

/**
 * For `node --import file:///…?to=FILE`: on SIGUSR2 the process writes to `FILE-<pid>` what keeps its event loop busy,
 * each kind with how many there are: sockets, requests, timers that hold it alive.
 */
process.on("SIGUSR2", () => {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
  writeFileSync(`${to}-${process.pid}`, JSON.stringify(counts));
});
