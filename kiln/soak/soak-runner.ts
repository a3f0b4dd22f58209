import { randomBytes } from "node:crypto";

import { pause, systemClock } from "../../core/clock.ts";
import { readSettings } from "../../core/config.ts";
import { silentLog } from "../../core/log.ts";
import { createMetrics } from "../../core/metrics.ts";
import { buildExampleImages } from "../../examples/functions/build.ts";
import type { Docker } from "../../runner/driver/docker/engine.ts";
import { openDocker } from "../../runner/driver/docker/open.ts";
import { socketDirectories } from "../../runner/hot/socket-directory.ts";
import { FunctionLogs } from "../../runner/logs/function-logs.ts";
import { createRunner, type Runner } from "../../runner/runner.ts";
import { RUNNER_SETTINGS } from "../../runner/settings.ts";
import { chance, type Chance } from "../fleet/chance.ts";
import { offerTo } from "../testing/offer.ts";
import { PROCESS_LIMITS } from "../testing/process-runner.ts";
import { held, openSite, type Counts, type SoakSite } from "./soak-site.ts";
import { tenants, type Tenants } from "./tenants.ts";

export interface RunnerSoakOptions {
  readonly docker: Docker;
  readonly host: string | undefined;
  readonly functions: number;
  readonly calls: number;
  /** What the runner can hold. */
  readonly containers: number;
  readonly clients: number;
  /** How unequal functions are. */
  readonly exponent: number;
  /** Network namespaces that are kept ready. */
  readonly pool: number;
  readonly seed: number;
  /** No call begins after this. */
  readonly mostSeconds: number;
}

export interface RunnerSoakReport {
  /** Calls that came to an end. */
  readonly calls: number;
  readonly called: number;
  readonly seconds: number;
  readonly endings: Readonly<Record<string, number>>;
  /** Refusals, after each of which the call was offered again. */
  readonly refusals: number;
  /** Containers that were seen, those of the pool included. */
  readonly containers: number;
  /** Of the runner's own metrics: starts, removals, freezes, thaws. */
  readonly counters: readonly string[];
  /** What there still is. Empty: nothing leaked. */
  readonly leaks: readonly string[];
}

const MEMORY_MIB = 128;
/** For what is closed to be really closed. */
const REST_MS = 1_500;

/** Runs many functions on a runner too small for them, drains it, and counts what is left. */
export async function soakRunner(options: RunnerSoakOptions): Promise<RunnerSoakReport> {
  await buildExampleImages(options.docker, ["probe"]);
  await using site = await openSite(options.docker);
  // What is opened once and for all is there before it counts.
  await runAndDrain({ ...options, calls: 5, functions: 1 }, site);
  const before = await held(site);
  const began = performance.now();
  const { tally, called, metrics, accounts } = await runAndDrain(options, site);
  const seconds = Math.round((performance.now() - began) / 1_000);
  await pause(systemClock, REST_MS);
  const after = await held(site);
  return {
    calls: tally.ended,
    called,
    seconds,
    endings: Object.fromEntries(tally.endings),
    refusals: tally.refusals,
    counters: metrics.split("\n").filter((line) => /^fn_container_(starts|removals|freezes|thaws)\{/.test(line)),
    containers: site.names.size,
    leaks: [...more(accounts, {}), ...more(after, before)],
  };
}

function more(after: Counts, before: Counts): readonly string[] {
  return Object.entries(after)
    .filter(([what, count]) => count > (before[what] ?? 0))
    .map(([what, count]) => `${what}: ${count}, before ${before[what] ?? 0}`);
}

async function runAndDrain(options: RunnerSoakOptions, site: SoakSite) {
  const { calls, clients, mostSeconds } = options;
  const metrics = createMetrics();
  const random = chance(options.seed);
  const all = tenants("kiln-example-probe:latest", options.functions, options.exponent, random);
  const tally = new Tally();
  const runner = await openRunner(options, site, metrics);
  const until = performance.now() + mostSeconds * 1_000;
  const client = async () => {
    while (tally.begun < calls && performance.now() < until) await oneCall(runner, all, random, tally);
  };
  await Promise.all(Array.from({ length: clients }, client));
  const resting = await atRest(runner);
  await runner[Symbol.asyncDispose]();
  const { totalMemoryMiB, freeMemoryMiB, totalCpuMillis, freeCpuMillis } = runner.hello().capacity;
  const booked = { bookedMiB: totalMemoryMiB - freeMemoryMiB, bookedMcpu: totalCpuMillis - freeCpuMillis };
  return { tally, called: all.called, metrics: metrics.render(), accounts: { ...resting, ...booked } };
}

class Tally {
  begun = 0;
  ended = 0;
  refusals = 0;
  readonly endings = new Map<string, number>();

  end(how: string): void {
    this.ended += 1;
    this.endings.set(how, (this.endings.get(how) ?? 0) + 1);
  }
}

async function openRunner(
  { host, containers, pool }: RunnerSoakOptions,
  { installation, directory }: SoakSite,
  metrics: ReturnType<typeof createMetrics>,
): Promise<Runner> {
  const bootId = randomBytes(8).toString("hex");
  const identity = { runnerId: "soak", bootId, version: "0" };
  const settings = readSettings(RUNNER_SETTINGS, {
    ...(host === undefined ? {} : { DOCKER_HOST: host }),
    FN_INSTALLATION_ID: installation,
    FN_IOFS_PATH: directory,
    FN_EXPERIMENTAL_PREFORK_POOL_SIZE: String(pool),
  });
  const logs = new FunctionLogs({ clock: systemClock });
  const driver = await openDocker(settings, identity, { guardFile: undefined, log: silentLog, metrics, output: logs });
  await driver.removeLeftovers?.();
  return createRunner({
    identity,
    driver,
    resources: { memoryMiB: containers * MEMORY_MIB, cpuMillis: 4_000 },
    directories: await socketDirectories({ parent: directory, installation, bootId }),
    logs,
    limits: { ...PROCESS_LIMITS, startTimeoutMs: 60_000, initTimeoutMs: 30_000, drainMs: 30_000 },
    host: { clock: systemClock, log: silentLog, metrics },
  });
}

/** Offers it again for as long as it is refused, as a placer does. Some clients leave before they have an answer. */
async function oneCall(runner: Runner, all: Tenants, random: Chance, tally: Tally): Promise<void> {
  tally.begun += 1;
  const call = all.call();
  const leavesAfterMs = random.happens(0.01) ? random.below(300) : undefined;
  for (let delayMs = 10; ; delayMs = Math.min(160, 2 * delayMs)) {
    const running = offerTo(runner, call);
    const leave =
      leavesAfterMs === undefined
        ? () => {}
        : systemClock.after(leavesAfterMs, () => running.handler.cancel("client_cancel"));
    const { finish, refused } = await running.outcome;
    leave();
    if (refused === undefined) {
      tally.end(finish?.ok === true ? "ok" : (finish?.code ?? "nothing"));
      break;
    }
    if (!refused.reason.retryable) {
      tally.end(refused.reason.code);
      break;
    }
    tally.refusals += 1;
    await pause(systemClock, delayMs * (0.5 + random.next()));
  }
  // So that those which are called seldom freeze.
  await pause(systemClock, random.below(300));
}

/** What the runner says of itself once nobody calls. */
async function atRest(runner: Runner): Promise<Counts> {
  const until = performance.now() + 30_000;
  for (;;) {
    const { starting, waiting, running } = runner.hello().capacity;
    const counts = { active: runner.status().active, starting, waiting, running };
    if (Object.values(counts).every((count) => count === 0) || performance.now() > until) return counts;
    await pause(systemClock, 50);
  }
}
