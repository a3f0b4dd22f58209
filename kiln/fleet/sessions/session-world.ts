import { newCallId } from "../../../core/call.ts";
import type { OfferedCall } from "../../../core/session/frames.ts";
import type { CallPort, OfferedCallHandler } from "../../../runner/rpc/call-port.ts";
import { callFor } from "../../testing/call-for.ts";
import { promised } from "../broken-promise.ts";
import { chance, type Chance } from "../chance.ts";
import { RunnerTask } from "./runner-task.ts";
import { Attempt, SimCall } from "./sim-call.ts";
import { Wire, type Tamper } from "./wire.ts";

/** Faults to plant, so that a test can show that they would be found. */
export interface PlantedFaults {
  /** Made anew for each connection. */
  readonly tamper?: (chance: Chance) => Tamper;
  readonly wrapHandler?: (handler: RunnerTask) => OfferedCallHandler;
  readonly wrapPort?: (port: CallPort) => CallPort;
}

// Small, so that credit runs out all the time.
const LIMITS = { firstBytes: 1_000, callBytes: 4_000, sessionBytes: 12_000, leastBytes: 400 };
const RUNNERS = 2;
const MOST_CALLS = 12;
const MOST_TRIES = 4;
const MOST_STEPS = 400;
const SETTLE_ROUNDS = 2_000;
const TEMPLATE = callFor("fn");

/** A gateway's and two runners' ends of their sessions, with calls, losses and restarts in an order that a seed chooses. */
class SessionWorld {
  readonly #chance: Chance;
  readonly #faults: PlantedFaults;
  readonly #calls: SimCall[] = [];
  readonly #byId = new Map<string, SimCall>();
  readonly #wires: Wire[] = [];
  readonly #past: Wire[] = [];
  #tasks: RunnerTask[] = [];
  #attempts: Attempt[] = [];
  #again: SimCall[] = [];

  constructor(seed: number, faults: PlantedFaults) {
    this.#chance = chance(seed);
    this.#faults = faults;
    for (let i = 0; i < RUNNERS; i++) this.#wires.push(this.#connect());
  }

  /** Whatever may happen, in any order; then without trouble until all is over. */
  run(): void {
    const steps = 50 + this.#chance.below(MOST_STEPS - 50);
    for (let i = 0; i < steps; i++) this.#step();
    this.#settle();
    for (const call of this.#calls) promised(call.outcomes === 1, `call ${call.name} is stuck`);
    for (const wire of [...this.#wires, ...this.#past]) wire.checkEmpty();
  }

  #step(): void {
    const roll = this.#chance.below(100);
    const wire = this.#chance.pick(this.#wires);
    if (roll < 8) this.#newCall();
    else if (roll < 12) this.#offerAgain();
    else if (roll < 27) this.#takeUpward(wire, this.#budget());
    else if (roll < 37) wire.deliverUpward();
    else if (roll < 52) wire.takeDownward(this.#budget());
    else if (roll < 62) wire.deliverDownward();
    else if (roll < 76) this.#clientStep();
    else if (roll < 96) this.#runnerStep();
    else if (roll < 98) this.#trouble(wire);
    else this.#notice(wire);
  }

  #budget(): number {
    return this.#chance.happens(0.3) ? Infinity : 1 + this.#chance.below(3_000);
  }

  #connect(): Wire {
    return new Wire({
      limits: LIMITS,
      offered: (wire, offered, port) => this.#offered(wire, offered, port),
      tamper: this.#faults.tamper?.(this.#chance) ?? {},
    });
  }

  #newCall(): void {
    if (this.#calls.length >= MOST_CALLS) return;
    const call = { ...TEMPLATE, id: newCallId(0), idempotent: this.#chance.happens(0.1) };
    const made = new SimCall(this.#calls.length + 1, call, this.#chance);
    this.#calls.push(made);
    this.#byId.set(call.id, made);
    this.#again.push(made);
    this.#offerAgain();
  }

  /** As a placer does: one runner at a time, after a refusal the next. */
  #offerAgain(): void {
    const usable = this.#wires.filter((wire) => wire.usable);
    const call = this.#again.shift();
    if (call === undefined) return;
    if (call.tries >= MOST_TRIES) return call.end();
    if (usable.length === 0) return void this.#again.push(call);
    call.tries += 1;
    const attempt = new Attempt(
      call,
      this.#chance.pick(usable),
      this.#chance,
      (refused) => void this.#again.push(refused),
    );
    call.attempt = attempt;
    this.#attempts.push(attempt);
  }

  #takeUpward(wire: Wire, budget: number): void {
    for (const frame of wire.takeUpward(budget)) {
      if (frame.type !== "offer") continue;
      const attempt = this.#byId.get(frame.offer.call.id)?.attempt;
      if (attempt !== undefined) attempt.sent = true;
    }
  }

  #offered(wire: Wire, offered: OfferedCall, port: CallPort): OfferedCallHandler {
    const call = this.#byId.get(offered.call.id);
    promised(call !== undefined, "a runner was offered a call that nobody made");
    const { wrapHandler, wrapPort } = this.#faults;
    const attempt = call.attempt?.wire === wire ? call.attempt : undefined;
    const task = new RunnerTask(call, attempt !== undefined, offered, wrapPort?.(port) ?? port, this.#chance);
    if (attempt !== undefined) attempt.task = task;
    this.#tasks.push(task);
    // Some answers come before the offer has been taken in.
    if (this.#chance.happens(0.3)) task.step(true);
    return wrapHandler?.(task) ?? task;
  }

  #clientStep(): void {
    if (this.#attempts.length === 0) return;
    const attempt = this.#chance.pick(this.#attempts);
    const roll = this.#chance.below(100);
    if (roll < 45) attempt.write(1 + this.#chance.below(6_000));
    else if (roll < 94) attempt.read(1 + this.#chance.below(4_000));
    else attempt.cancel();
    this.#forget();
  }

  #runnerStep(): void {
    if (this.#tasks.length > 0) this.#chance.pick(this.#tasks).step(true);
    this.#forget();
  }

  #forget(): void {
    this.#attempts = this.#attempts.filter(({ state, unread }) => state !== "over" || unread > 0);
    this.#tasks = this.#tasks.filter(({ state }) => state !== "over");
  }

  #trouble(wire: Wire): void {
    if (this.#chance.happens(0.2)) return wire.drain();
    if (this.#chance.happens(0.5) && !wire.broken) wire.cut(this.#chance.below(4), this.#chance.below(4));
  }

  /** Each end learns of a loss in its own time; a new connection is made once both have. */
  #notice(wire: Wire): void {
    if (!wire.broken) return;
    if (this.#chance.happens(0.5)) wire.gatewayNotices();
    else wire.runnerNotices();
    if (wire.dead) this.#replace(wire);
  }

  #replace(wire: Wire): void {
    this.#past.push(wire);
    this.#wires[this.#wires.indexOf(wire)] = this.#connect();
  }

  #settle(): void {
    for (let round = 0; round < SETTLE_ROUNDS; round++) {
      this.#wires.forEach((wire) => this.#settleWire(wire));
      while (this.#again.length > 0 && this.#wires.some(({ usable }) => usable)) this.#offerAgain();
      for (const attempt of this.#attempts) {
        attempt.write(5_000);
        attempt.read(Infinity);
      }
      for (const task of this.#tasks) task.step(false);
      this.#forget();
      const over = this.#again.length + this.#attempts.length + this.#tasks.length === 0;
      if (over && this.#wires.every(({ quiet }) => quiet)) return;
    }
  }

  #settleWire(wire: Wire): void {
    const left = !wire.usable && wire.gateway.size + wire.runner.size === 0;
    if (wire.broken || left) {
      wire.gatewayNotices();
      wire.runnerNotices();
      return this.#replace(wire);
    }
    this.#takeUpward(wire, Infinity);
    wire.takeDownward(Infinity);
    while (!wire.delivered) {
      wire.deliverUpward();
      wire.deliverDownward();
    }
  }
}

/** Lives one seed through. @throws BrokenPromise or ProtocolError, the same each time */
export function simulateSessions(seed: number, faults: PlantedFaults = {}): void {
  new SessionWorld(seed, faults).run();
}
