import { cpuMicros, used, watchMemory } from "./accounts.ts";
import { startKiln } from "./kiln-system.ts";
import type { Generator } from "./load/generator.ts";
import type { Job } from "./load/job.ts";
import type { BenchOptions } from "./options.ts";
import type { Table } from "./table.ts";

const MIB = 1_048_576;

const FUNCTIONS = `
apps:
  - name: bench
    fns:
      - { id: probe, name: probe, image: probe, memory: 32, timeout: 300, idle_timeout: 3600 }
`;

/** One very large body in either direction, and the most memory that gateway and runner held meanwhile. */
export async function measureGigabyte(options: BenchOptions, generator: Generator): Promise<readonly Table[]> {
  const { bytes, profile } = options;
  await using kiln = await startKiln({ functions: FUNCTIONS, profile });
  const target = { origin: kiln.url, path: "/invoke/probe" };
  const job: Job = {
    targets: [target],
    headers: {},
    requestBytes: 0,
    warmUpMs: 0,
    measureMs: 300_000,
    maxCallsEach: 1,
  };
  await generator.run({ ...job, maxCallsEach: 20 }, () => {});

  const rows: string[][] = [];
  for (const direction of ["up", "down"] as const) {
    const up = direction === "up";
    const control = JSON.stringify(up ? { isEmptyBody: true } : { outputBytes: bytes, declareLength: true });
    const pids = { gateway: kiln.gatewayPid, runner: kiln.runnerPid };
    const parties = { gateway: [kiln.gatewayPid], runner: [kiln.runnerPid] };
    const memory = watchMemory(pids);
    const before = cpuMicros(parties);
    const load = { ...job, headers: { "probe-control": control }, requestBytes: up ? bytes : 0 };
    const { elapsedMs, responseBytes } = await generator.run(load, () => {});
    const cpu = used(before, cpuMicros(parties));
    const seen = await memory.stop();
    if (!up && responseBytes !== bytes) throw new Error(`Answer has ${responseBytes} bytes, expected ${bytes}`);
    const cells = (party: "gateway" | "runner") => {
      const { beforeBytes = NaN, peakBytes = NaN } = seen[party] ?? {};
      return [`${mib(beforeBytes)} → ${mib(peakBytes)}`, (((cpu[party] ?? NaN) / 1_000 / bytes) * MIB).toFixed(2)];
    };
    const speed = bytes / 1e6 / (elapsedMs / 1_000);
    rows.push([
      `${(bytes / 1e6).toFixed(0)} MB ${direction}`,
      speed.toFixed(1),
      ...cells("gateway"),
      ...cells("runner"),
    ]);
  }
  return [
    {
      title: "One body: resident memory before it and at its peak, CPU-ms per MiB",
      head: ["body", "MB/s", "gateway MiB", "gateway ms/MiB", "runner MiB", "runner ms/MiB"],
      rows,
    },
  ];
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(0);
}
