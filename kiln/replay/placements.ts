import { z } from "zod";

const placed = z.object({
  kind: z.literal("placed"),
  at: z.number(),
  call: z.string(),
  key: z.string(),
  memoryMiB: z.number(),
  cpuMillis: z.number(),
  idleTimeoutMs: z.number(),
  placer: z.string(),
  waitedMs: z.number(),
  runner: z.string(),
  warm: z.boolean(),
  runners: z.array(z.object({ address: z.string(), totalMemoryMiB: z.number(), totalCpuMillis: z.number() })),
});
const ended = z.object({ kind: z.literal("ended"), call: z.string(), runMs: z.number(), startMs: z.number() });
const dropped = z.object({ kind: z.literal("dropped"), lines: z.number() });
const line = z.discriminatedUnion("kind", [placed, ended, dropped]);

/** One call, as a placement log has it. */
export interface ReplayedCall {
  /** When it came, milliseconds after the first. */
  readonly atMs: number;
  readonly key: string;
  readonly memoryMiB: number;
  readonly cpuMillis: number;
  readonly idleTimeoutMs: number;
  readonly runMs: number;
  readonly waitedMs: number;
  readonly runner: string;
  readonly warm: boolean;
}

export interface Placements {
  readonly calls: readonly ReplayedCall[];
  /** The placer of most calls. */
  readonly placer: string;
  readonly runners: number;
  /** Of a runner, as they are on average. */
  readonly memoryMiB: number;
  readonly cpuMillis: number;
  /** What a start took on average; 0 where none was seen. */
  readonly startMs: number;
  /** Lines that the log itself lost, and calls of which no end is known. */
  readonly lost: number;
}

/** Reads a placement log. @throws Error naming the line that is wrong, or that there is nothing to replay */
export function parsePlacements(text: string, file: string): Placements {
  const begun = new Map<string, z.infer<typeof placed>>();
  const calls: ReplayedCall[] = [];
  const runners = new Map<string, { readonly memoryMiB: number; readonly cpuMillis: number }>();
  const placers = new Map<string, number>();
  const starts: number[] = [];
  let lost = 0;
  for (const [index, row] of text.split("\n").entries()) {
    if (row === "") continue;
    const one = parseLine(row, `${file}:${index + 1}`);
    if (one.kind === "dropped") lost += one.lines;
    else if (one.kind === "placed") {
      begun.set(one.call, one);
      placers.set(one.placer, (placers.get(one.placer) ?? 0) + 1);
      for (const { address, totalMemoryMiB, totalCpuMillis } of one.runners) {
        if (totalMemoryMiB > 0) runners.set(address, { memoryMiB: totalMemoryMiB, cpuMillis: totalCpuMillis });
      }
    } else {
      const start = begun.get(one.call);
      if (start === undefined) continue;
      begun.delete(one.call);
      if (!start.warm && one.startMs > 0) starts.push(one.startMs);
      const { at, key, memoryMiB, cpuMillis, idleTimeoutMs, waitedMs, runner, warm } = start;
      const facts = { key, memoryMiB, cpuMillis, idleTimeoutMs, waitedMs, runner, warm };
      calls.push({ ...facts, atMs: at - waitedMs, runMs: one.runMs });
    }
  }
  if (calls.length === 0 || runners.size === 0) throw new Error(`Cannot replay "${file}": it has no call that ended`);
  const first = Math.min(...calls.map(({ atMs }) => atMs));
  const all = [...runners.values()];
  return {
    calls: calls.map((call) => ({ ...call, atMs: call.atMs - first })).sort((a, b) => a.atMs - b.atMs),
    placer: [...placers].reduce((most, one) => (one[1] > most[1] ? one : most))[0],
    runners: runners.size,
    memoryMiB: Math.round(mean(all.map((one) => one.memoryMiB))),
    cpuMillis: Math.round(mean(all.map((one) => one.cpuMillis))),
    startMs: starts.length === 0 ? 0 : mean(starts),
    lost: lost + begun.size,
  };
}

function parseLine(row: string, where: string): z.infer<typeof line> {
  try {
    return line.parse(JSON.parse(row));
  } catch (cause) {
    throw new Error(`${where}: this is no line of a placement log`, { cause });
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
