import { CallError } from "../../../core/call-error.ts";
import { NO_TIMINGS, type Finish, type OfferedCall } from "../../../core/session/frames.ts";
import type { CallPort, OfferedCallHandler } from "../../../runner/rpc/call-port.ts";
import { promised } from "../broken-promise.ts";
import type { Chance } from "../chance.ts";
import { Body } from "./body.ts";
import type { SimCall } from "./sim-call.ts";

const OK: Finish = { ok: true, timings: NO_TIMINGS };
const DIED: Finish = {
  ok: false,
  timings: NO_TIMINGS,
  code: "function_response",
  message: "",
  status: undefined,
  stderrTail: "",
};

/** What a runner makes of one offer: any order of words that its contract allows, chosen by chance. */
export class RunnerTask implements OfferedCallHandler {
  readonly call: SimCall;
  readonly response: Body;
  readonly #current: boolean;
  readonly #port: CallPort;
  readonly #chance: Chance;
  state: "offered" | "pending" | "waiting" | "running" | "cancelled" | "over" = "offered";
  #headed = false;
  #full = false;
  #unread = 0;
  #received: number;
  #ended: boolean;

  /** @param current - false for an offer that its gateway has given up meanwhile */
  constructor(call: SimCall, current: boolean, offered: OfferedCall, port: CallPort, chance: Chance) {
    this.call = call;
    this.#current = current;
    this.#port = port;
    this.#chance = chance;
    this.response = new Body(chance);
    this.#received = 0;
    this.#ended = offered.end;
    this.#receive(offered.body);
  }

  start(): void {
    promised(this.state === "waiting", `call ${this.call.name} was started when it was ${this.state}`);
    this.#run();
  }

  data(bytes: Uint8Array, end: boolean): void {
    promised(
      this.state === "running" || this.state === "waiting",
      `call ${this.call.name} got a body when it was ${this.state}`,
    );
    promised(!this.#ended, `call ${this.call.name} got a body after its end`);
    this.#receive(bytes);
    this.#unread += bytes.length;
    this.#ended = end;
    if (end)
      promised(this.#received === this.call.request.length, `call ${this.call.name} ended without all of its body`);
  }

  drained(): void {
    promised(this.state === "running", `call ${this.call.name} heard "drained" when it was ${this.state}`);
    this.#full = false;
  }

  cancel(): void {
    promised(
      this.state !== "cancelled" && this.state !== "over",
      `call ${this.call.name} was cancelled when it was ${this.state}`,
    );
    this.state = "cancelled";
    if (this.#chance.happens(0.7)) this.#finish(DIED);
  }

  /** The next thing its runner does; without trouble it leads to a good end. */
  step(trouble: boolean): void {
    const some = trouble && this.#chance.happens(0.15);
    if (this.state === "offered") return some ? this.#refuse() : this.#acquire();
    if (this.state === "pending") return some ? this.#fail() : this.#accept();
    if (this.state === "waiting") return some ? this.#finish(DIED) : undefined;
    if (this.state === "running") return some && this.#chance.happens(0.3) ? this.#finish(DIED) : this.#work();
    if (this.state === "cancelled") this.#finish(DIED);
  }

  #acquire(): void {
    if (this.#chance.happens(0.5)) return this.#accept();
    this.state = "pending";
    this.#port.pending("start");
  }

  #accept(): void {
    const warm = this.state === "offered";
    this.state = "waiting";
    this.#port.accept("container");
    if (warm) this.#run();
  }

  #run(): void {
    this.state = "running";
    this.call.ran();
  }

  #fail(): void {
    if (this.#chance.happens(0.5)) this.#finish(DIED);
    else this.#refuse();
  }

  #refuse(): void {
    this.state = "over";
    this.#port.refuse(new CallError("server_busy"), this.#chance.happens(0.8) ? "this_runner" : "any_runner");
  }

  #work(): void {
    if (this.#unread > 0 && this.#chance.happens(0.6)) return this.#read();
    if (!this.#headed) return this.#head();
    if (this.#full) return this.#read();
    // A function may answer before it has read its input.
    if (this.response.unsent === 0) return this.#ended || this.#chance.happens(0.1) ? this.#finish(OK) : this.#read();
    const bytes = Math.min(this.response.unsent, 1 + this.#chance.below(5_000));
    this.#full = !this.#port.write(this.response.send(bytes));
  }

  #head(): void {
    this.#headed = true;
    this.#port.head({ status: 200, headers: [] });
  }

  #read(): void {
    const some = this.#chance.happens(0.5) ? this.#unread : this.#chance.below(this.#unread + 1);
    this.#unread -= some;
    if (some > 0) this.#port.consumed(some);
  }

  #finish(finish: Finish): void {
    this.state = "over";
    this.#port.finish(finish);
  }

  #receive(bytes: Uint8Array): void {
    // After a loss the call may have been offered again from its first byte: this task is of the past then.
    const current = this.#current && (this.call.attempt?.task ?? this) === this;
    if (current) this.call.request.receive(bytes, `the runner's call ${this.call.name}`);
    this.#received += bytes.length;
  }
}
