import { CallError } from "../../core/call-error.ts";
import type { Clock } from "../../core/clock.ts";
import { LINGER_MS } from "../../core/connect/frame-pump.ts";
import type { Log } from "../../core/log.ts";
import { MESSAGE_BYTES, type GatewayFrame, type RunnerFrame, type RunnerHello } from "../../core/session/frames.ts";
import type { LinkOptions, RunnerLink } from "../../gateway/runnerpool/runner-link.ts";
import type { RunnerStatus } from "../../gateway/runnerpool/runnerpool.ts";
import { GatewaySession } from "../../gateway/runnerpool/session.ts";
import { fromResponse, toRequest } from "../../gateway/runnerpool/wire.ts";
import { engageGateway, type EngagedGateway } from "../../runner/rpc/engage-gateway.ts";
import { fromRequest, toResponse } from "../../runner/rpc/wire.ts";
import type { Runner } from "../../runner/runner.ts";
import { Line } from "./line.ts";

export interface LinkSite {
  readonly clock: Clock;
  readonly log: Log;
  readonly latencyMs: () => number;
  /** Changes what is carried: for planted faults. */
  readonly tamper?: FrameTamper | undefined;
  /** Told of frames that the protocol does not allow. */
  readonly violated: (error: unknown) => void;
}

export interface FrameTamper {
  toRunner?(frames: readonly GatewayFrame[]): readonly GatewayFrame[];
  toGateway?(frames: readonly RunnerFrame[]): readonly RunnerFrame[];
}

/** How long after a cut each end learns of it, virtual milliseconds. */
export interface CutOptions {
  readonly gatewayAfterMs?: number;
  readonly runnerAfterMs?: number;
}

/** One connection of a simulated fleet: both shipped ends of a session, joined by two lines instead of HTTP/2. */
export class FleetLink implements RunnerLink {
  readonly session: GatewaySession;
  readonly lost: Promise<CallError>;
  readonly greeted: Promise<RunnerHello>;
  readonly #site: LinkSite;
  readonly #address: string;
  readonly #runner: Runner;
  readonly #engaged: EngagedGateway;
  readonly #lost = Promise.withResolvers<CallError>();
  readonly #greeted = Promise.withResolvers<RunnerHello>();
  readonly #up: Line<ReturnType<typeof toRequest>>;
  readonly #down: Line<ReturnType<typeof toResponse>>;
  readonly #closed: () => void;
  #hello: RunnerHello | undefined;

  constructor(runner: Runner, site: LinkSite, options: LinkOptions, closed: () => void) {
    const { address, gatewayId, version, capacity, draining } = options;
    this.#site = site;
    this.#address = address;
    this.#runner = runner;
    this.#closed = closed;
    this.lost = this.#lost.promise;
    this.greeted = this.#greeted.promise;
    this.greeted.catch(() => {});
    const { clock, latencyMs, log } = site;
    this.#up = new Line({
      clock,
      latencyMs,
      take: () => this.#takeUp(),
      deliver: (message) => this.#arriveUp(message),
    });
    this.#down = new Line({
      clock,
      latencyMs,
      take: () => this.#takeDown(),
      deliver: (message) => this.#arriveDown(message),
    });
    const hello = (said: RunnerHello) => {
      this.#hello = said;
      this.#greeted.resolve(said);
    };
    const fault = (error: unknown) => {
      site.violated(error);
      options.fault(error);
    };
    this.session = new GatewaySession({ wake: this.#up.wake, hello, capacity, draining, fault });
    this.#engaged = engageGateway(runner, log, {
      wake: this.#down.wake,
      linger: () => void clock.after(LINGER_MS, this.#down.wake),
    });
    this.session.hello(gatewayId, version);
  }

  get hello(): RunnerHello {
    if (this.#hello === undefined) throw new TypeError("Cannot use a connection before the runner has greeted");
    return this.#hello;
  }

  /** What both ends hold; all zero when no call is open. */
  get held(): number {
    return [this.session.held, this.#engaged.session.held].reduce(
      (sum, { calls, bodies, windowBytes }) => sum + calls + bodies + windowBytes,
      0,
    );
  }

  status(): Promise<RunnerStatus> {
    const { runnerId, bootId, version, isolation, capacity } = this.#runner.hello();
    return Promise.resolve({
      runnerId,
      bootId,
      version,
      isolation,
      capacity,
      ...this.#runner.status(),
      check: undefined,
    });
  }

  /** There are no certificates here. */
  recheck(): void {}

  close(): void {
    this.cut({ runnerAfterMs: this.#site.latencyMs() }, "this gateway closed it");
  }

  /** Loses the connection with all that is under way. */
  cut({ gatewayAfterMs = 0, runnerAfterMs = 0 }: CutOptions = {}, why = "the connection was cut"): void {
    this.#up.cut();
    this.#down.cut();
    this.#closed();
    this.#soon(gatewayAfterMs, () => this.#gatewayLost(why));
    this.#soon(runnerAfterMs, () => this.#runnerLost());
  }

  #soon(ms: number, task: () => void): void {
    if (ms === 0) task();
    else this.#site.clock.after(ms, task);
  }

  #gatewayLost(why: string): void {
    const error = new CallError("runner_unreachable", `Runner ${this.#address} cannot be reached: ${why}`);
    this.session.lost(error);
    this.#greeted.reject(error);
    this.#lost.resolve(error);
  }

  #runnerLost(): void {
    this.#engaged.leave();
    this.#engaged.session.lost();
  }

  #takeUp(): ReturnType<typeof toRequest> | undefined {
    if (this.session.over !== undefined) return undefined;
    const frames = this.session.take(MESSAGE_BYTES);
    return frames.length === 0 ? undefined : toRequest(this.#site.tamper?.toRunner?.(frames) ?? frames);
  }

  #takeDown(): ReturnType<typeof toResponse> | undefined {
    const { session } = this.#engaged;
    if (session.over) return undefined;
    const frames = session.take(MESSAGE_BYTES);
    return frames.length === 0 ? undefined : toResponse(this.#site.tamper?.toGateway?.(frames) ?? frames);
  }

  #arriveUp(message: ReturnType<typeof toRequest>): void {
    this.#guarded(() => this.#engaged.session.receive(fromRequest(message)));
  }

  #arriveDown(message: ReturnType<typeof toResponse>): void {
    this.#guarded(() => this.session.receive(fromResponse(message)));
  }

  #guarded(receive: () => void): void {
    try {
      receive();
    } catch (error) {
      this.#site.violated(error);
      this.cut({}, error instanceof Error ? error.message : String(error));
    }
  }
}
