import { CallError } from "../../../core/call-error.ts";
import { NO_CAPACITY, type GatewayFrame, type OfferedCall, type RunnerFrame } from "../../../core/session/frames.ts";
import type { WindowLimits } from "../../../core/session/receive-windows.ts";
import { GatewaySession } from "../../../gateway/runnerpool/session.ts";
import type { CallPort, OfferedCallHandler } from "../../../runner/rpc/call-port.ts";
import { RunnerSession } from "../../../runner/rpc/session.ts";
import { promised } from "../broken-promise.ts";

export interface WireOptions {
  readonly limits: WindowLimits;
  readonly offered: (wire: Wire, offered: OfferedCall, port: CallPort) => OfferedCallHandler;
  readonly tamper: Tamper;
}

/** Changes what is carried: for planted faults. */
export interface Tamper {
  toRunner?(frames: readonly GatewayFrame[]): readonly GatewayFrame[];
  toGateway?(frames: readonly RunnerFrame[]): readonly RunnerFrame[];
}

const HELLO = {
  runnerId: "runner",
  bootId: "boot",
  version: "0",
  isolation: "container",
  capacity: NO_CAPACITY,
} as const;

/** Both shipped ends of one session, and what is under way between them. Either end may learn of a loss first. */
export class Wire {
  readonly gateway: GatewaySession;
  readonly runner: RunnerSession;
  readonly #tamper: Tamper;
  #upward: (readonly GatewayFrame[])[] = [];
  #downward: (readonly RunnerFrame[])[] = [];
  #cut = false;
  #draining = false;

  constructor({ limits, offered, tamper }: WireOptions) {
    this.#tamper = tamper;
    const draining = () => void (this.#draining = true);
    const fault = (error: unknown) => {
      throw error;
    };
    this.gateway = new GatewaySession({ wake() {}, hello() {}, capacity() {}, draining, fault }, limits);
    this.runner = new RunnerSession(
      { wake() {}, hello() {}, offer: (call, port) => offered(this, call, port) },
      limits,
    );
    this.gateway.hello("gateway", "0");
    this.runner.hello(HELLO);
  }

  /** Whether calls may be offered on it. */
  get usable(): boolean {
    return this.gateway.over === undefined && !this.#draining;
  }

  /** Neither end uses it any more. */
  get dead(): boolean {
    return this.gateway.over !== undefined && this.runner.over;
  }

  /** The gateway writes; returns what it wrote. */
  takeUpward(budget: number): readonly GatewayFrame[] {
    if (this.gateway.over !== undefined) return [];
    const frames = this.gateway.take(budget);
    if (!this.#cut && frames.length > 0) this.#upward.push(this.#tamper.toRunner?.(frames) ?? frames);
    return frames;
  }

  takeDownward(budget: number): void {
    if (this.runner.over) return;
    const frames = this.runner.take(budget);
    if (!this.#cut && frames.length > 0) this.#downward.push(this.#tamper.toGateway?.(frames) ?? frames);
  }

  deliverUpward(): void {
    const frames = this.#upward.shift();
    if (frames !== undefined && !this.runner.over) this.runner.receive(frames);
  }

  deliverDownward(): void {
    const frames = this.#downward.shift();
    if (frames !== undefined && this.gateway.over === undefined) this.gateway.receive(frames);
  }

  /** From now on nothing more gets onto it. What is under way may still arrive, up to some point. */
  cut(lostUpward: number, lostDownward: number): void {
    this.#cut = true;
    this.#upward = this.#upward.slice(0, this.#upward.length - lostUpward);
    this.#downward = this.#downward.slice(0, this.#downward.length - lostDownward);
  }

  get broken(): boolean {
    return this.#cut;
  }

  gatewayNotices(): void {
    this.gateway.lost(new CallError("runner_unreachable", "cut by the simulation"));
  }

  runnerNotices(): void {
    this.runner.lost();
  }

  drain(): void {
    if (!this.runner.over) this.runner.draining();
  }

  /** Nothing is under way. */
  get delivered(): boolean {
    return this.#upward.length + this.#downward.length === 0;
  }

  get quiet(): boolean {
    return this.delivered && this.gateway.idle && this.runner.idle;
  }

  /** @throws BrokenPromise if an end keeps anything of calls that are over */
  checkEmpty(): void {
    for (const [end, { held }] of [
      ["gateway", this.gateway],
      ["runner", this.runner],
    ] as const) {
      promised(held.calls === 0, `the ${end}'s session keeps ${held.calls} calls that are over`);
      promised(held.windowBytes === 0, `the ${end}'s session lost ${held.windowBytes} bytes of credit`);
      promised(
        this.dead || held.bodies === 0,
        `the ${end}'s session keeps ${held.bodies} bodies of calls that are over`,
      );
    }
  }
}
