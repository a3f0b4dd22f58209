import { silentLog, type Log } from "../../core/log.ts";
import type { FunctionLookup } from "../../gateway/functions/functions.ts";
import { createGateway, type GatewayOptions } from "../../gateway/gateway.ts";
import type { Overrider } from "../../gateway/overrider.ts";
import { mtlsRunnerFactory, type RunnerFactory } from "../../gateway/runnerpool/mtls-runner.ts";
import { naivePlacer } from "../../gateway/runnerpool/naive-placer.ts";
import type { Placer, Runner, RunnerPool } from "../../gateway/runnerpool/runnerpool.ts";
import { poolOf } from "../../gateway/runnerpool/static-pool.ts";
import type { RunnerOverrider } from "../../runner/calls/call-run.ts";
import type { ContainerCreateOptions } from "../../runner/driver/docker/docker-driver.ts";
import type { DriverHook } from "../../runner/driver/driver.ts";
import type { RunnerLimits } from "../../runner/runner.ts";
import type { Booking } from "../../runner/slots/slot.ts";
import { FakeFunctions, functionFor } from "../testing/fake-functions.ts";
import { VirtualClock } from "../testing/virtual-clock.ts";
import { abortable } from "./abortable.ts";
import { chance } from "./chance.ts";
import type { FrameTamper, LinkSite } from "./fleet-link.ts";
import { DEFAULT_RESOURCES, DEFAULT_RUNNER_LIMITS, FleetRunner } from "./fleet-runner.ts";
import { simulatedDocker, type FleetDriverFactory } from "./simulated-docker.ts";
import type { FunctionHandler, SimulatedFunction } from "./simulated-function.ts";

export interface FleetOptions<Options = ContainerCreateOptions> {
  /** Functions by id: what they do, and how they are declared where the defaults do not fit. */
  readonly functions: Readonly<Record<string, SimulatedFunction | FunctionHandler>>;
  readonly runners?: number;
  /** Starts the containers; a Docker without containers, unless told. */
  readonly driver?: FleetDriverFactory<Options>;
  readonly clock?: VirtualClock;
  /** The operator's, as `--overriders` loads them. */
  readonly overriders?: readonly Overrider[];
  /** The operator's, as `--hooks` loads them. */
  readonly startHooks?: readonly NonNullable<DriverHook<Options>["start"]>[];
  readonly callHooks?: readonly NonNullable<DriverHook<Options>["call"]>[];
  readonly runnerOverriders?: readonly RunnerOverrider[];
  readonly placer?: Placer;
  /** Made of the runners' gateway sides; all of them in their order, unless told. */
  readonly pool?: (runners: readonly Runner[]) => RunnerPool;
  /** What each runner's containers may book together. */
  readonly resources?: Booking;
  readonly limits?: Partial<RunnerLimits>;
  readonly gatewayLimits?: GatewayOptions["limits"];
  readonly network?: FleetNetwork;
  /** What chance makes of it: where rounds begin, how long waits are. */
  readonly seed?: number;
  readonly log?: Log;
}

export interface FleetNetwork {
  /** Virtual milliseconds one way, for each message; 0 unless told. */
  readonly latencyMs?: () => number;
  /** Changes frames under way: the faults one wants to see found. */
  readonly tamper?: FrameTamper;
}

/** What a client sends; a POST unless it says otherwise. */
export type FleetRequest = RequestInit & { readonly duplex?: "half" };

export interface FleetAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
  text(): string;
  json(): unknown;
}

/** A gateway and its runners in this process, in virtual time. Disposing it drains them all. */
export interface Fleet extends AsyncDisposable {
  readonly clock: VirtualClock;
  readonly runners: readonly FleetRunner[];
  readonly pool: RunnerPool;
  /** Frames that the protocol does not allow; none, unless they are tampered with. */
  readonly violations: readonly unknown[];
  /** Sends a request and moves the clock until its answer is complete. */
  call(fnId: string, request?: FleetRequest): Promise<FleetAnswer>;
  /** Sends a request. Its answer comes as the clock is moved. */
  send(fnId: string, request?: FleetRequest): Promise<FleetAnswer>;
  /** The same, with the body as it comes. */
  fetch(path: string, request?: FleetRequest): Promise<Response>;
}

/**
 * Runs the shipped gateway and runners in this process: only the connections, the clock and the driver are others.
 *
 * @example
 * ```ts
 * await using fleet = await createFleet({ runners: 3, functions: { hello: () => "Hello" }, overriders });
 * const { status } = await fleet.call("hello", { headers: { "x-plan": "gold" } });
 * ```
 */
export async function createFleet<Options = ContainerCreateOptions>(options: FleetOptions<Options>): Promise<Fleet> {
  const { clock = new VirtualClock(), seed = 1, log = silentLog, network = {} } = options;
  const { next } = chance(seed);
  const violations: unknown[] = [];
  const site: LinkSite = {
    clock,
    log,
    latencyMs: network.latencyMs ?? (() => 0),
    tamper: network.tamper,
    violated: (error) => void violations.push(error),
  };
  const { machines, lookup } = makeMachines(options, site);
  const factory = dialling(machines, site, next);
  const runners = machines.map(({ address }) => factory(address, "kiln-runner", NO_PKI));
  const pool = (options.pool ?? poolOf)(runners);
  const timeouts = { timeoutMs: 30_000, detachedTimeoutMs: 30_000, retryDelayMs: 10 };
  const app = createGateway({
    functions: lookup,
    placer: options.placer ?? naivePlacer({ clock, ...timeouts, random: next }),
    pool,
    overriders: options.overriders ?? [],
    limits: options.gatewayLimits ?? {},
    instruments: { clock, log },
  });
  const fetch = async (path: string, request: FleetRequest = {}) =>
    abortable(await app.request(path, { method: "POST", ...request }), request.signal);
  const send = async (fnId: string, request?: FleetRequest) => answerOf(await fetch(`/invoke/${fnId}`, request));
  while (!runners.every((runner) => runner.connected)) await clock.run(1);
  return {
    clock,
    runners: machines,
    pool,
    violations,
    fetch,
    send,
    call: (fnId, request) => clock.until(send(fnId, request)),
    async [Symbol.asyncDispose]() {
      const ended = [pool, ...machines].map((one) => one[Symbol.asyncDispose]());
      await clock.until(Promise.all(ended));
    },
  };
}

const NO_PKI = { ca: "", key: "", cert: "" };

function makeMachines<Options>(
  options: FleetOptions<Options>,
  site: LinkSite,
): { readonly machines: readonly FleetRunner[]; readonly lookup: FunctionLookup } {
  const functions = Object.entries(options.functions).map(([id, given]) => {
    const made: SimulatedFunction = typeof given === "function" ? { handler: given } : given;
    return { made, found: functionFor(id, made.spec, made.app) };
  });
  const { startHooks = [], callHooks = [] } = options;
  const common = {
    functions: new Map(functions.map(({ made, found }) => [found.fn.image, made])),
    // Hooks and driver agree on the options; what they are is nobody else's business here.
    driver: (options.driver ?? simulatedDocker()) as FleetDriverFactory<unknown>,
    hooks: [...startHooks.map((start) => ({ start })), ...callHooks.map((call) => ({ call }))] as DriverHook<unknown>[],
    overriders: options.runnerOverriders ?? [],
    resources: options.resources ?? DEFAULT_RESOURCES,
    limits: { ...DEFAULT_RUNNER_LIMITS, ...options.limits },
    site,
  };
  const machines = Array.from(
    { length: options.runners ?? 1 },
    (_, index) => new FleetRunner({ ...common, runnerId: `runner-${index + 1}` }),
  );
  return { machines, lookup: new FakeFunctions(...functions.map(({ found }) => found)) };
}

/** The shipped factory, whose connections are the fleet's own. */
function dialling(machines: readonly FleetRunner[], { clock, log }: LinkSite, jitter: () => number): RunnerFactory {
  const byAddress = new Map(machines.map((machine) => [machine.address, machine]));
  return mtlsRunnerFactory({
    gatewayId: "gateway",
    version: "0",
    allowNoIsolation: true,
    dialTimeoutMs: 1_000,
    drainMs: 30_000,
    clock,
    log,
    jitter,
    open(link) {
      const machine = byAddress.get(link.address);
      if (machine === undefined) throw new TypeError(`Cannot dial ${link.address}: no such runner`);
      return machine.dial(link);
    },
  });
}

async function answerOf(response: Response): Promise<FleetAnswer> {
  const { status, headers } = response;
  const body = Buffer.from(await response.arrayBuffer());
  return { status, headers, body, text: () => body.toString(), json: () => JSON.parse(body.toString()) as unknown };
}
