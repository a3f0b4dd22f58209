import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";

import type { Overrider } from "../../gateway/overrider.ts";
import { createPlacer, PLACERS, type PlacerName } from "../../gateway/runnerpool/placers/create-placer.ts";
import type { Write } from "../command.ts";
import { createFleet } from "../fleet/fleet.ts";
import { VirtualClock } from "../testing/virtual-clock.ts";
import { parsePlacements, type Placements } from "./placements.ts";

export const replayUsage = `npm run kiln -- replay FILE --placer NAME

  Lives the calls of a placement log (gateway --log-placements FILE) through once more, with another placer.
  --placer  ${PLACERS.join(", ")}
`;

/** What a placer made of the calls. */
export interface PlacerResult {
  readonly coldStarts: number;
  readonly failed: number;
  /** Milliseconds from a call's coming until it ran, its container's start included. */
  readonly waitsMs: readonly number[];
  /** Calls by runner. */
  readonly calls: ReadonlyMap<string, number>;
}

const TIMEOUT_MS = 600_000;
const RUN_MS = "x-run-ms";

export async function replay(args: readonly string[], write: Write): Promise<void> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { placer: { type: "string" } },
    allowPositionals: true,
  });
  const [file] = positionals;
  const placer = PLACERS.find((name) => name === values.placer);
  if (file === undefined || placer === undefined) {
    throw new Error(`Cannot replay: expected a file and --placer, one of ${PLACERS.join(", ")}`);
  }
  const log = parsePlacements(await readFile(file, "utf8"), file);
  const { calls, runners, memoryMiB, startMs, lost } = log;
  write(`${calls.length} calls in ${Math.round((calls.at(-1)?.atMs ?? 0) / 1_000)} s on ${runners} runners\n\n`);
  const rows: [string, PlacerResult][] = [["as recorded", recorded(log)]];
  const known = PLACERS.find((name) => name === log.placer);
  if (known !== undefined) rows.push([`${known}, replayed`, await replayWith(known, log)]);
  if (placer !== known) rows.push([`${placer}, replayed`, await replayWith(placer, log)]);
  write("                            cold    wait p50    wait p99    calls a runner    failed\n");
  for (const [name, result] of rows) write(`${rowOf(name, result, runners)}\n`);
  write(
    `\nThe model: the gateway and runners as shipped, in virtual time, ${runners} runners of ${memoryMiB} MiB each, as theirs are ` +
      `on average;\nevery start takes ${Math.round(startMs)} ms and every call as long as it did, however many run beside it. ` +
      `Compare replays with each other.\n` +
      (lost > 0 ? `${lost} calls are not in it: the log has no end of them.\n` : ""),
  );
}

/** What the log itself says. */
export function recorded({ calls }: Placements): PlacerResult {
  const counts = new Map<string, number>();
  for (const { runner } of calls) counts.set(runner, (counts.get(runner) ?? 0) + 1);
  const coldStarts = calls.filter(({ warm }) => !warm).length;
  return { coldStarts, failed: 0, waitsMs: calls.map(({ waitedMs }) => waitedMs), calls: counts };
}

/** The same calls at the same times in a fleet of the same size, placed by this placer. */
export async function replayWith(placer: PlacerName, log: Placements): Promise<PlacerResult> {
  const clock = new VirtualClock();
  const keys = [...new Set(log.calls.map(({ key }) => key))];
  const nameOf = (key: string) => `fn-${keys.indexOf(key)}`;
  const counts = new Map<string, number>();
  const waitsMs: number[] = [];
  let coldStarts = 0;
  let failed = 0;
  const watch: Overrider = async (c, next) => {
    const began = clock.now();
    await next();
    const outcome = c.get("outcome");
    if (c.res.status !== 200 || outcome?.runner === undefined) return void (failed += 1);
    counts.set(outcome.runner, (counts.get(outcome.runner) ?? 0) + 1);
    if (outcome.warm === false) coldStarts += 1;
    waitsMs.push(Math.max(0, clock.now() - began - Number(c.req.header(RUN_MS))));
  };
  const functions = keys.map((key) => {
    const like = log.calls.find((call) => call.key === key);
    const { memoryMiB = 128, cpuMillis = 0, idleTimeoutMs = 30_000 } = like ?? {};
    const handler = async (request: { sleep(ms: number): Promise<void>; header(name: string): string | undefined }) => {
      await request.sleep(Number(request.header(RUN_MS)));
      return "";
    };
    const spec = { memoryMiB, cpuMillis, idleTimeoutMs, timeoutMs: 300_000 };
    return [nameOf(key), { spec, handler, start: () => ({ startMs: log.startMs }) }] as const;
  });
  await using fleet = await createFleet({
    clock,
    runners: log.runners,
    functions: Object.fromEntries(functions),
    resources: { memoryMiB: log.memoryMiB, cpuMillis: log.cpuMillis },
    overriders: [watch],
    placer: createPlacer({ placer, clock, timeoutMs: TIMEOUT_MS, detachedTimeoutMs: TIMEOUT_MS, retryDelayMs: 10 }),
    gatewayLimits: { placerTimeoutMs: TIMEOUT_MS },
  });
  const sent = log.calls.map(
    ({ atMs, key, runMs }) =>
      new Promise<unknown>((resolve, reject) => {
        const send = () => void fleet.send(nameOf(key), { headers: { [RUN_MS]: String(runMs) } }).then(resolve, reject);
        clock.after(atMs, send);
      }),
  );
  await clock.until(Promise.all(sent), Infinity);
  return { coldStarts, failed, waitsMs, calls: counts };
}

function rowOf(name: string, { coldStarts, failed, waitsMs, calls }: PlacerResult, runners: number): string {
  const sorted = waitsMs.toSorted((a, b) => a - b);
  const at = (share: number) => `${Math.round(sorted[Math.floor((sorted.length - 1) * share)] ?? 0)} ms`;
  const counts = [...calls.values(), ...Array.from({ length: Math.max(0, runners - calls.size) }, () => 0)];
  const spread = `${Math.min(...counts)} to ${Math.max(...counts)}`;
  const cells = [String(coldStarts).padStart(8), at(0.5).padStart(12), at(0.99).padStart(12), spread.padStart(18)];
  return `${name.padEnd(24)}${cells.join("")}${String(failed).padStart(10)}`;
}
