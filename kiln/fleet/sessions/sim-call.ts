import type { CallError } from "../../../core/call-error.ts";
import type { Call } from "../../../core/call.ts";
import type { CallNumber, Finish, RefusalScope } from "../../../core/session/frames.ts";
import type { OfferHandler } from "../../../gateway/runnerpool/session.ts";
import { promised } from "../broken-promise.ts";
import type { Chance } from "../chance.ts";
import { Body } from "./body.ts";
import type { RunnerTask } from "./runner-task.ts";
import type { Wire } from "./wire.ts";

/** One call as its client sees it: tried on one runner after the other, with one outcome. */
export class SimCall {
  readonly name: number;
  readonly call: Call;
  readonly request: Body;
  /** How often its function began, on all runners together. */
  runs = 0;
  outcomes = 0;
  tries = 0;
  cancelled = false;
  /** It was given up when it was certain that nothing had run. */
  mustNotRun = false;
  attempt: Attempt | undefined;

  constructor(name: number, call: Call, chance: Chance) {
    this.name = name;
    this.call = call;
    this.request = new Body(chance);
  }

  end(): void {
    this.outcomes += 1;
    promised(this.outcomes === 1, `call ${this.name} has more than one outcome`);
  }

  ran(): void {
    this.runs += 1;
    promised(!this.mustNotRun, `call ${this.name} ran after it was cancelled`);
    promised(this.runs === 1 || this.call.idempotent, `call ${this.name} ran ${this.runs} times`);
  }
}

/** One try on one wire: keeps to the session's contract, and checks that the session does. */
export class Attempt implements OfferHandler {
  readonly call: SimCall;
  readonly wire: Wire;
  readonly number: CallNumber;
  /** Set by the runner's side once it has the offer. */
  task: RunnerTask | undefined;
  sent = false;
  state: "open" | "pending" | "placed" | "over" = "open";
  unread = 0;
  #headed = false;
  #ended: boolean;
  #full = false;
  readonly #again: (call: SimCall) => void;

  constructor(call: SimCall, wire: Wire, chance: Chance, again: (call: SimCall) => void) {
    this.call = call;
    this.wire = wire;
    this.#again = again;
    const { request } = call;
    request.rewind();
    const first = request.send(Math.min(request.length, chance.below(3_000)));
    this.#ended = request.unsent === 0;
    const offered = { call: call.call, remainingMs: Infinity, affinityKey: "", body: first, end: this.#ended };
    this.number = wire.gateway.offer(offered, this);
  }

  refused(_reason: CallError, scope: RefusalScope): void {
    this.#says("refused", "open", "pending");
    this.state = "over";
    if (scope === "any_runner") this.call.end();
    else this.#again(this.call);
  }

  pending(): void {
    this.#says("pending", "open");
    this.state = "pending";
  }

  placed(): void {
    this.#says("placed", "open", "pending");
    this.state = "placed";
  }

  head(): void {
    this.#says("head", "placed");
    promised(!this.#headed, `call ${this.call.name} has two heads`);
    this.#headed = true;
  }

  data(bytes: Uint8Array): void {
    this.#says("data", "placed");
    promised(this.#headed, `call ${this.call.name} has a body before its head`);
    promised(this.task !== undefined, `call ${this.call.name} has an answer from nobody`);
    this.task.response.receive(bytes, `the gateway's call ${this.call.name}`);
    this.unread += bytes.length;
  }

  finish(finish: Finish): void {
    this.#says("finish", "open", "pending", "placed");
    this.state = "over";
    const { response } = this.task ?? {};
    if (finish.ok)
      promised(response?.received === response?.length, `call ${this.call.name} ended well without all of its answer`);
    this.call.end();
  }

  drained(): void {
    this.#says("drained", "open", "pending", "placed");
    this.#full = false;
  }

  /** The client sends more, if there is room and anything left. */
  write(bytes: number): void {
    const { request } = this.call;
    if (this.state === "over" || this.#ended || this.#full) return;
    if (request.unsent > 0)
      this.#full = !this.wire.gateway.write(this.number, request.send(Math.min(bytes, request.unsent)));
    else this.#end();
  }

  /** The client takes in what has come. */
  read(bytes: number): void {
    const some = Math.min(bytes, this.unread);
    if (some === 0) return;
    this.unread -= some;
    this.wire.gateway.consumed(this.number, some);
  }

  /** The client leaves. */
  cancel(): void {
    if (this.state === "over") return;
    // An earlier try of an idempotent call may be running all the same.
    this.call.mustNotRun ||= !this.call.call.idempotent && (!this.sent || this.state === "pending");
    this.call.cancelled = true;
    this.state = "over";
    this.wire.gateway.cancel(this.number, "client_cancel");
    this.call.end();
  }

  #end(): void {
    this.#ended = true;
    this.wire.gateway.end(this.number);
  }

  #says(word: string, ...states: readonly Attempt["state"][]): void {
    promised(states.includes(this.state), `call ${this.call.name} heard "${word}" when it was ${this.state}`);
  }
}
