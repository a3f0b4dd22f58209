import { CallError } from "../../core/call-error.ts";
import type { Clock } from "../../core/clock.ts";
import { createMetrics } from "../../core/metrics.ts";
import type { LinkOptions, RunnerLink } from "../../gateway/runnerpool/runner-link.ts";
import type { RunnerOverrider } from "../../runner/calls/call-run.ts";
import type { DriverHook } from "../../runner/driver/driver.ts";
import type { SocketDirectories } from "../../runner/hot/socket-directory.ts";
import { createRunner, type Runner, type RunnerLimits } from "../../runner/runner.ts";
import type { Booking } from "../../runner/slots/slot.ts";
import { FleetLink, type CutOptions, type LinkSite } from "./fleet-link.ts";
import type { SimulatedContainer } from "./simulated-container.ts";
import type { FleetDriver, FleetDriverFactory } from "./simulated-docker.ts";
import type { SimulatedFunction } from "./simulated-function.ts";

export interface FleetRunnerOptions<Options> {
  readonly runnerId: string;
  readonly functions: ReadonlyMap<string, SimulatedFunction>;
  readonly driver: FleetDriverFactory<Options>;
  readonly hooks: readonly DriverHook<Options>[];
  readonly overriders: readonly RunnerOverrider[];
  readonly resources: Booking;
  readonly limits: RunnerLimits;
  readonly site: LinkSite;
}

interface Boot {
  readonly runner: Runner;
  readonly containers: () => readonly SimulatedContainer[];
}

/** One machine of a simulated fleet: the shipped runner, with a power switch and a cable to pull. */
export class FleetRunner {
  readonly address: string;
  readonly #options: FleetRunnerOptions<unknown>;
  readonly #links = new Set<FleetLink>();
  readonly #ending = new Set<Promise<void>>();
  #boot: Boot | undefined;
  #boots = 0;
  #reachable = true;

  /** @internal */
  constructor(options: FleetRunnerOptions<unknown>) {
    this.#options = options;
    this.address = `${options.runnerId}:9190`;
    this.start();
  }

  get running(): boolean {
    return this.#boot !== undefined;
  }

  /** The shipped runner of this boot. @throws TypeError while it is off */
  get runner(): Runner {
    if (this.#boot === undefined) throw new TypeError(`Cannot ask ${this.address}: it does not run`);
    return this.#boot.runner;
  }

  /** Containers that exist now. */
  get containers(): readonly SimulatedContainer[] {
    return this.#boot?.containers() ?? [];
  }

  /** Calls, bodies and bytes of credit that open connections hold; 0 when no call is open. */
  get held(): number {
    return [...this.#links].reduce((sum, link) => sum + link.held, 0);
  }

  /** Starts it again after a crash or a drain, with another boot id. */
  start(): void {
    if (this.#boot !== undefined) return;
    const { runnerId, driver, functions, site, hooks, overriders, resources, limits } = this.#options;
    const { clock, log } = site;
    const bootId = `boot-${++this.#boots}`;
    const made: FleetDriver<unknown> = driver({ clock, runnerId, bootId, functions });
    const runner = createRunner({
      identity: { runnerId, bootId, version: "0" },
      driver: made,
      hooks,
      overriders,
      resources,
      directories: noDirectories(bootId),
      contact: made.contact,
      limits,
      host: { clock, log, metrics: createMetrics() },
    });
    this.#boot = { runner, containers: () => made.containers };
  }

  /** Refuses new calls, lets running ones end, and stops: what SIGTERM does. Resolves when it is off. */
  async drain(): Promise<void> {
    const boot = this.#boot;
    if (boot === undefined) return;
    await boot.runner[Symbol.asyncDispose]();
    if (this.#boot !== boot) return;
    this.#boot = undefined;
    this.cut();
  }

  /** The power fails: everything on it is gone, and gateways learn of it when they do. */
  crash(noticed: CutOptions = {}): void {
    const boot = this.#boot;
    if (boot === undefined) return;
    this.#boot = undefined;
    this.cut({ ...noticed, runnerAfterMs: 0 });
    for (const container of boot.containers()) container.kill();
    boot.runner.hurry();
    const ended = Promise.resolve(boot.runner[Symbol.asyncDispose]());
    this.#ending.add(ended);
    void ended.finally(() => this.#ending.delete(ended));
  }

  /** Breaks every connection to it, with all that is under way. It is dialled again. */
  cut(noticed: CutOptions = {}): void {
    for (const link of this.#links) link.cut(noticed);
  }

  /** Nobody can connect to it any more; connections that are there stay. */
  isolate(): void {
    this.#reachable = false;
  }

  /** It can be reached again. */
  rejoin(): void {
    this.#reachable = true;
  }

  /** @internal A gateway dials. */
  async dial(options: LinkOptions): Promise<RunnerLink> {
    const { site } = this.#options;
    await passed(site.clock, site.latencyMs());
    if (this.#boot === undefined || !this.#reachable) {
      throw new CallError("runner_unreachable", `Runner ${this.address} cannot be reached: connection refused`);
    }
    const link: FleetLink = new FleetLink(this.#boot.runner, site, options, () => this.#links.delete(link));
    this.#links.add(link);
    const late = () => link.cut({}, `no answer in ${options.dialTimeoutMs} ms`);
    const cancelTimer = site.clock.after(options.dialTimeoutMs, late);
    await link.greeted.finally(cancelTimer);
    return link;
  }

  /** @internal Ends it, and waits for all that its earlier boots left to do. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain();
    while (this.#ending.size > 0) await Promise.all(this.#ending);
  }
}

function passed(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.after(ms, resolve));
}

/** Names without directories: nothing listens on a socket here. */
function noDirectories(bootId: string): SocketDirectories {
  let made = 0;
  return {
    async create() {
      const id = `kiln-${++made}`;
      return { id, path: `/${bootId}/${id}`, async [Symbol.asyncDispose]() {} };
    },
    hasLivingPeer: () => Promise.resolve(false),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** For a fleet that does not say what its machines have. */
export const DEFAULT_RESOURCES: Booking = { memoryMiB: 1_024, cpuMillis: 4_000 };

export const DEFAULT_RUNNER_LIMITS: RunnerLimits = {
  startTimeoutMs: 60_000,
  initTimeoutMs: 5_000,
  maxHeaderBytes: 64 * 1024,
  startsAtOnce: 4,
  maxResponseBytes: 0,
  freezeIdleMs: 50,
  slotWaitMs: 5_000,
  mostWaiting: 1_000,
  drainMs: 30_000,
  removeMs: 30_000,
  freezeTimeoutMs: 5_000,
};
