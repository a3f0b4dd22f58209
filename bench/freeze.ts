import { pause, systemClock } from "../core/clock.ts";
import { silentLog } from "../core/log.ts";
import { buildExampleImages } from "../examples/functions/build.ts";
import { driverBench } from "../kiln/testing/driver/driver-bench.ts";
import { taskFor } from "../kiln/testing/task-for.ts";
import { dockerDriver } from "../runner/driver/docker/docker-driver.ts";
import { connectEngine, type Docker, pingEngine } from "../runner/driver/docker/engine.ts";
import { createGuard } from "../runner/driver/docker/guard.ts";
import type { BenchOptions } from "./options.ts";
import { openRawFreezer } from "./raw-freezer.ts";
import { spread } from "./statistics.ts";
import { shownSpread, type Table } from "./table.ts";

const PING_MS = 2_000;
const PATIENCE_MS = 10_000;
/** Of each kind in one round. */
const TIMES = 10;
/** Docker takes late news of one pause for news of the next, and then refuses to thaw. */
const NEWS_MS = 40;
const PAUSE_ATTEMPTS = 20;

interface Means {
  readonly what: string;
  freeze(): Promise<void>;
  thaw(): Promise<void>;
}

interface Took {
  readonly freeze: number[];
  readonly thaw: number[];
}

/** Freezing and thawing one idle container: the kernel's file alone, what the runner does, and Docker's pause. */
export async function measureFreeze(
  { rounds }: BenchOptions,
  dockerHost: string | undefined,
): Promise<readonly Table[]> {
  const docker = connectEngine({ host: dockerHost });
  const version = await pingEngine(docker, PING_MS);
  if (version === undefined) return [{ title: "Freezing: skipped, as no Docker daemon answers", head: [], rows: [] }];
  await buildExampleImages(docker, ["hello"]);
  const measured = await inTurns(docker, rounds);
  return [
    {
      title: `Freezing an idle container on Docker ${version}, ${TIMES} times each in every round: milliseconds`,
      head: ["", ...measured.keys()],
      rows: (["freeze", "thaw"] as const).map((step) => [
        step,
        ...[...measured.values()].map((took) => shownSpread(took[step], 2)),
      ]),
    },
  ];
}

/** Medians of each round. */
async function inTurns(docker: Docker, rounds: number): Promise<ReadonlyMap<string, Took>> {
  const id = `bench-${process.pid}`;
  const installation = { id, runnerId: id, bootId: id };
  const parts = { docker, installation, guard: createGuard(), clock: systemClock, log: silentLog };
  await using bench = await driverBench(dockerDriver(parts));
  await using hello = await bench.start(taskFor("hello"));
  await hello.call();
  const container = docker.getContainer(hello.container.id);
  const { Pid: pid } = (await container.inspect()).State;
  using raw = await openRawFreezer({ containerId: hello.container.id, pid });
  const signal = () => AbortSignal.timeout(PATIENCE_MS);
  const subjects: readonly Means[] = [
    { what: "kernel's file alone", freeze: async () => raw.freeze(), thaw: async () => raw.thaw() },
    {
      what: "Kiln",
      freeze: () => hello.container.freeze(signal()),
      thaw: () => hello.container.thaw(signal()),
    },
    {
      what: "Docker's pause",
      freeze: () => pauseByDocker(container),
      // Docker 20.10 now and then forgets a pause, and says "is not paused" of a container that stands still.
      thaw: () =>
        container.unpause().then(
          () => {},
          () => raw.thaw(),
        ),
    },
  ];
  const measured = new Map(subjects.map(({ what }) => [what, { freeze: [], thaw: [] } as Took]));
  for (let round = 0; round <= rounds; round++) {
    const turned = subjects.map((_, i) => subjects[(round + i) % subjects.length]);
    for (const means of turned) {
      if (means === undefined) continue;
      const { freeze, thaw } = await measureOnce(means);
      // The first round finds files and connections that no other does.
      if (round === 0) continue;
      measured.get(means.what)?.freeze.push(freeze);
      measured.get(means.what)?.thaw.push(thaw);
    }
  }
  return measured;
}

/** Where the machine is busy Docker 20.10 now and then gives up, and leaves the container running. */
async function pauseByDocker(container: ReturnType<Docker["getContainer"]>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await container.pause();
      return;
    } catch (error) {
      if (attempt === PAUSE_ATTEMPTS) throw error;
      await pause(systemClock, NEWS_MS);
    }
  }
}

async function measureOnce({ freeze, thaw }: Means): Promise<{ readonly freeze: number; readonly thaw: number }> {
  const took: Took = { freeze: [], thaw: [] };
  for (let i = 0; i < TIMES; i++) {
    const began = performance.now();
    await freeze();
    took.freeze.push(performance.now() - began);
    await pause(systemClock, NEWS_MS);
    const frozen = performance.now();
    await thaw();
    took.thaw.push(performance.now() - frozen);
    await pause(systemClock, NEWS_MS);
  }
  return { freeze: spread(took.freeze).median, thaw: spread(took.thaw).median };
}
