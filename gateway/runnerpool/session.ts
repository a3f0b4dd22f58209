import { CallError } from "../../core/call-error.ts";
import type { ErrorCode } from "../../core/error-codes.ts";
import { NumberMap } from "../../core/number-map.ts";
import {
  NO_TIMINGS,
  type CallNumber,
  type Capacity,
  type Finish,
  type GatewayFrame,
  type OfferedCall,
  type RefusalScope,
  type ResponseHead,
  type RunnerFrame,
  type RunnerHello,
  type SessionHoldings,
} from "../../core/session/frames.ts";
import { Outbox } from "../../core/session/outbox.ts";
import { ProtocolError } from "../../core/session/protocol-error.ts";
import { DEFAULT_WINDOWS, ReceiveWindows, type WindowLimits } from "../../core/session/receive-windows.ts";

/** What becomes of one offered call. `refused` or `finish` is the last that is told. */
export interface OfferHandler {
  refused(reason: CallError, scope: RefusalScope): void;
  pending(phase: string): void;
  /** The call runs, or may run, from now on. */
  placed(detail: { readonly containerId: string; readonly warm: boolean }): void;
  head(head: ResponseHead): void;
  data(bytes: Uint8Array): void;
  finish(finish: Finish): void;
  /** All that was written of the request body is on its way. */
  drained(): void;
}

export interface SessionEvents {
  /** There is something to take. */
  wake(): void;
  hello(hello: RunnerHello): void;
  capacity(capacity: Capacity): void;
  draining(): void;
  /** The runner drains and all calls have ended: nothing is left to say. */
  emptied?(): void;
  /** A handler threw. */
  fault(error: unknown): void;
}

/**
 * `offered` may be running already, `pending` surely is not; `started` may be running again.
 * `cancelled` has been forgotten by its handler and only waits for the runner's `finished`.
 */
type State = "unsent" | "offered" | "pending" | "accepted" | "started" | "running" | "cancelled";

interface OpenCall {
  state: State;
  readonly handler: OfferHandler;
  readonly offer: GatewayFrame;
  readonly idempotent: boolean;
  /** The `start` frame, once the runner accepted a call that was pending. */
  start: GatewayFrame | undefined;
  containerId: string;
}

const LAST_NUMBER = 0xffff_ffff;

/**
 * The gateway's end of a session: any number of calls on one ordered pair of frame streams.
 * Decides what may be said of a call when the connection is lost. No I/O and no timer.
 */
export class GatewaySession {
  readonly #events: SessionEvents;
  readonly #calls = new NumberMap<OpenCall>();
  readonly #outbox: Outbox<GatewayFrame>;
  readonly #windows: ReceiveWindows;
  #lastNumber = 0;
  #draining = false;
  #over: CallError | undefined;

  constructor(events: SessionEvents, limits: WindowLimits = DEFAULT_WINDOWS) {
    this.#events = events;
    this.#outbox = new Outbox<GatewayFrame>(events.wake, (call) => this.#calls.get(call)?.handler.drained());
    this.#windows = new ReceiveWindows(limits, (call, bytes) => this.#outbox.control({ type: "credit", call, bytes }));
  }

  hello(gatewayId: string, version: string): void {
    this.#outbox.control({ type: "hello", gatewayId, version });
  }

  get over(): CallError | undefined {
    return this.#over;
  }

  /** Calls that have not ended. */
  get size(): number {
    return this.#calls.size;
  }

  /** No number is left: calls need another session. */
  get exhausted(): boolean {
    return this.#lastNumber >= LAST_NUMBER;
  }

  /** Offers a call; the handler hears of it, never before this returns. */
  offer(offered: Omit<OfferedCall, "responseCredit">, handler: OfferHandler): CallNumber {
    if (this.#over !== undefined || this.exhausted) throw new TypeError("Cannot offer a call: the session is over");
    const call = ++this.#lastNumber;
    const offer: GatewayFrame = {
      type: "offer",
      call,
      offer: { ...offered, responseCredit: this.#windows.open(call) },
    };
    const { idempotent } = offered.call;
    this.#calls.set(call, { state: "unsent", handler, offer, idempotent, start: undefined, containerId: "" });
    // No credit yet: more than the first bytes goes only to a runner that accepted.
    if (!offered.end) this.#outbox.open(call, 0);
    this.#outbox.control(offer);
    return call;
  }

  /** Sends more of the request body. False: wait for `drained`. */
  write(call: CallNumber, bytes: Uint8Array): boolean {
    return this.#outbox.write(call, bytes);
  }

  /** The request body has ended. */
  end(call: CallNumber): void {
    this.#outbox.end(call, { type: "data", call, bytes: new Uint8Array(), end: true });
  }

  /** The response bytes have left memory. */
  consumed(call: CallNumber, bytes: number): void {
    this.#windows.consumed(call, bytes);
  }

  /** Forgets the call here and ends it there; the handler hears nothing more. */
  cancel(call: CallNumber, code: ErrorCode): void {
    const open = this.#calls.get(call);
    if (open === undefined || open.state === "cancelled") return;
    this.#outbox.close(call);
    this.#windows.close(call);
    if (open.state === "unsent" && this.#outbox.withdraw(open.offer)) return this.#forget(call);
    if (open.start !== undefined) this.#outbox.withdraw(open.start);
    open.state = "cancelled";
    this.#outbox.control({ type: "cancel", call, code });
  }

  /** The frames to write next, bodies up to about `budgetBytes`. They count as sent. */
  take(budgetBytes: number): GatewayFrame[] {
    const frames = this.#outbox.take(budgetBytes);
    for (const frame of frames) {
      if (frame.type === "offer") this.#sent(frame.call, "unsent", "offered");
      if (frame.type === "start") {
        this.#sent(frame.call, "accepted", "started");
        const open = this.#calls.get(frame.call);
        if (open?.state === "started") open.handler.placed({ containerId: open.containerId, warm: false });
      }
    }
    return frames;
  }

  /** What is held for calls: nothing, once all have ended. */
  get held(): SessionHoldings {
    return { calls: this.#calls.size, bodies: this.#outbox.bodies, windowBytes: this.#windows.outstandingBytes };
  }

  get idle(): boolean {
    return this.#outbox.empty;
  }

  /** @throws ProtocolError on a frame that cannot come now */
  receive(frames: readonly RunnerFrame[]): void {
    for (const frame of frames) this.#receiveOne(frame);
  }

  /** The connection is gone: every call gets what can truly be said of it. */
  lost(reason: CallError): void {
    if (this.#over !== undefined) return;
    this.#over = reason;
    for (const [call, open] of this.#calls) {
      this.#outbox.close(call);
      this.#windows.close(call);
      if (open.state !== "cancelled") this.#tell(() => tellLoss(open, reason));
    }
    this.#calls.clear();
  }

  /** One call's fault must not keep the others from hearing. */
  #tell(handler: () => void): void {
    try {
      handler();
    } catch (error) {
      this.#events.fault(error);
    }
  }

  #sent(call: CallNumber, from: State, to: State): void {
    const open = this.#calls.get(call);
    if (open?.state === from) open.state = to;
  }

  #receiveOne(frame: RunnerFrame): void {
    if (frame.type === "hello") return this.#events.hello(frame.hello);
    if (frame.type === "capacity") return this.#events.capacity(frame.capacity);
    if (frame.type === "draining") return this.#drain();
    const open = this.#calls.get(frame.call);
    if (open === undefined)
      throw new ProtocolError(`Runner sent "${frame.type}" for call ${frame.call}, which is not open`);
    if (open.state === "cancelled") {
      if (frame.type === "finished" || frame.type === "refused") this.#forget(frame.call);
      return;
    }
    try {
      this.#ofCall(frame, open);
    } catch (error) {
      if (error instanceof ProtocolError) throw error;
      // What takes the answer is at fault, for this call alone.
      this.#events.fault(error);
      this.cancel(frame.call, "internal");
      this.#tell(() => open.handler.finish(failedFinish(new CallError("internal"))));
    }
  }

  #ofCall(frame: Exclude<RunnerFrame, { type: "hello" | "capacity" | "draining" }>, open: OpenCall): void {
    const { handler } = open;
    switch (frame.type) {
      case "refused":
        expect(open, frame, "offered", "pending");
        this.#close(frame.call);
        return handler.refused(new CallError(frame.code, frame.message), frame.scope);
      case "pending":
        expect(open, frame, "offered");
        open.state = "pending";
        return handler.pending(frame.phase);
      case "accepted":
        expect(open, frame, "offered", "pending");
        open.containerId = frame.containerId;
        if (open.state === "pending") {
          open.state = "accepted";
          open.start = { type: "start", call: frame.call };
          return this.#outbox.control(open.start);
        }
        open.state = "running";
        return handler.placed({ containerId: frame.containerId, warm: true });
      case "head":
        expect(open, frame, "running", "started");
        return handler.head(frame.head);
      case "data":
        expect(open, frame, "running", "started");
        if (!this.#windows.received(frame.call, frame.bytes.length)) {
          throw new ProtocolError(`Runner sent more of call ${frame.call} than it had credit for`);
        }
        return handler.data(frame.bytes);
      case "credit":
        return this.#outbox.credit(frame.call, frame.bytes);
      case "finished":
        // A call may end without having been accepted: its container failed to start.
        expect(open, frame, "running", "started", "pending", "accepted", "offered");
        this.#close(frame.call);
        return handler.finish(frame.finish);
    }
  }

  #close(call: CallNumber): void {
    this.#outbox.close(call);
    this.#windows.close(call);
    this.#forget(call);
  }

  #forget(call: CallNumber): void {
    this.#calls.delete(call);
    if (this.#draining && this.#calls.size === 0) this.#events.emptied?.();
  }

  /** Whoever hears of it offers no more calls. */
  #drain(): void {
    this.#draining = true;
    this.#events.draining();
    if (this.#calls.size === 0) this.#events.emptied?.();
  }
}

function expect(open: OpenCall, frame: RunnerFrame, ...states: readonly State[]): void {
  if (!states.includes(open.state))
    throw new ProtocolError(`Runner sent "${frame.type}" for a call that is ${open.state}`);
}

/** What can truly be said of a call when its connection is gone. */
function tellLoss({ state, idempotent, handler }: OpenCall, reason: CallError): void {
  const ranNothing = state === "unsent" || state === "pending" || state === "accepted";
  if (ranNothing || (idempotent && state === "offered")) return handler.refused(reason, "this_runner");
  handler.finish(
    failedFinish(new CallError("runner_lost", `${new CallError("runner_lost").message}: ${reason.message}`)),
  );
}

function failedFinish({ code, message }: CallError): Finish {
  return { ok: false, timings: NO_TIMINGS, code, message, status: undefined, stderrTail: "" };
}
