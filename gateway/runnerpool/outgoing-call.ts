import { CallError } from "../../core/call-error.ts";
import type { ErrorCode } from "../../core/error-codes.ts";
import {
  NO_TIMINGS,
  OFFER_BODY_BYTES,
  type Finish,
  type RefusalScope,
  type ResponseHead,
} from "../../core/session/frames.ts";
import type { BodySource, Offer, RequestBody, Runner, RunnerCall } from "./runnerpool.ts";
import type { GatewaySession, OfferHandler } from "./session.ts";

/** What is tried where. */
export interface Outgoing {
  readonly runner: Runner;
  readonly session: GatewaySession;
  readonly call: RunnerCall;
  readonly remainingMs: number;
  /** Told once it is over on that runner; without a code it went well. */
  readonly ended: (placed: boolean, code: ErrorCode | undefined) => void;
}

/** One try of one call on one session: the offer's answer, the request body on its way, the response to the sink. */
export class OutgoingCall implements OfferHandler {
  readonly #runner: Runner;
  readonly #session: GatewaySession;
  readonly #call: RunnerCall;
  readonly #ended: Outgoing["ended"];
  readonly #signal: AbortSignal;
  readonly #answered = Promise.withResolvers<Offer>();
  /** What follows the offer's first bytes, if anything does. */
  readonly #rest: BodySource["rest"] | undefined;
  readonly #number: number;
  #placed = false;
  #over = false;
  #drained: () => void = () => {};

  constructor({ runner, session, call, remainingMs, ended }: Outgoing, signal: AbortSignal) {
    this.#runner = runner;
    this.#ended = ended;
    this.#session = session;
    this.#call = call;
    this.#signal = signal;
    const { first, rest } = offerable(call.body());
    this.#rest = rest;
    const { affinityKey } = call;
    const offered = { call: call.call, remainingMs, affinityKey, body: first, end: rest === undefined };
    this.#number = session.offer(offered, this);
    signal.addEventListener("abort", this.#abort, { once: true });
  }

  /** Placed, or refused. What follows a placed call goes to its sink. */
  get answer(): Promise<Offer> {
    return this.#answered.promise;
  }

  refused(reason: CallError, scope: RefusalScope): void {
    if (!this.#end()) return;
    this.#answered.resolve({ placed: false, reason, scope });
    this.#ended(false, reason.code);
  }

  pending(phase: string): void {
    this.#call.sink.pending(phase);
  }

  placed(detail: { readonly containerId: string; readonly warm: boolean }): void {
    this.#placed = true;
    this.#call.sink.placed(this.#runner, detail);
    this.#answered.resolve({ placed: true });
    if (this.#rest !== undefined) void this.#sendRest(this.#rest());
  }

  head(head: ResponseHead): void {
    this.#call.sink.head(head);
  }

  data(bytes: Uint8Array): void {
    this.#call.sink.data(bytes, (consumed) => this.#session.consumed(this.#number, consumed));
  }

  finish(finish: Finish): void {
    if (!this.#end()) return;
    this.#call.sink.finish(finish);
    this.#answered.resolve({ placed: true });
    this.#ended(true, finish.ok ? undefined : finish.code);
  }

  drained(): void {
    this.#drained();
  }

  readonly #abort = (): void => this.#cancel(CallError.from(this.#signal.reason, "client_cancel"));

  /** The runner is told; nobody waits for it to agree. */
  #cancel(reason: CallError): void {
    if (!this.#end()) return;
    this.#session.cancel(this.#number, reason.code);
    if (this.#placed) this.#call.sink.finish(failed(reason));
    this.#answered.resolve({ placed: false, reason, scope: "any_runner" });
    this.#ended(this.#placed, reason.code);
  }

  #end(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#signal.removeEventListener("abort", this.#abort);
    this.#drained();
    return true;
  }

  async #sendRest(rest: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      for await (const chunk of rest) {
        if (this.#over) return;
        if (!this.#session.write(this.#number, chunk)) await new Promise<void>((resolve) => (this.#drained = resolve));
        if (this.#over) return;
      }
      this.#session.end(this.#number);
    } catch (cause) {
      this.#cancel(CallError.from(cause, "request_body_unreadable"));
    }
  }
}

/** A body as an offer carries it: its first 64 KiB, and what is sent once the call is accepted. */
function offerable(body: RequestBody): { readonly first: Uint8Array; readonly rest: BodySource["rest"] | undefined } {
  if ("stream" in body) return { first: body.stream.first, rest: () => body.stream.rest() };
  const { whole } = body;
  if (whole.length <= OFFER_BODY_BYTES) return { first: whole, rest: undefined };
  return {
    first: whole.subarray(0, OFFER_BODY_BYTES),
    async *rest() {
      yield whole.subarray(OFFER_BODY_BYTES);
    },
  };
}

function failed({ code, message, status, stderrTail = "" }: CallError): Finish {
  return { ok: false, timings: NO_TIMINGS, code, message, status, stderrTail };
}
