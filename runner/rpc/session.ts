import { NumberMap } from "../../core/number-map.ts";
import type {
  CallNumber,
  Capacity,
  GatewayFrame,
  OfferedCall,
  RunnerFrame,
  RunnerHello,
  SessionHoldings,
} from "../../core/session/frames.ts";
import { OFFER_BODY_BYTES } from "../../core/session/frames.ts";
import { Outbox } from "../../core/session/outbox.ts";
import { ProtocolError } from "../../core/session/protocol-error.ts";
import { DEFAULT_WINDOWS, ReceiveWindows, type WindowLimits } from "../../core/session/receive-windows.ts";
import type { CallPort, OfferedCallHandler } from "./call-port.ts";
import { OpenCall, type SessionState } from "./open-call.ts";

export interface RunnerSessionEvents {
  /** There is something to take. */
  wake(): void;
  /** There is something to take that may wait some milliseconds for company; as `wake`, unless told. */
  linger?(): void;
  hello(gatewayId: string, version: string): void;
  offer(offered: OfferedCall, port: CallPort): OfferedCallHandler;
}

/** The runner's end of a session: hands offers to the runner and its answers to the gateway. No I/O and no timer. */
export class RunnerSession {
  readonly #events: RunnerSessionEvents;
  readonly #calls = new NumberMap<OpenCall>();
  readonly #outbox: Outbox<RunnerFrame>;
  readonly #windows: ReceiveWindows;
  readonly #state: SessionState;
  #capacity: RunnerFrame | undefined;
  #lastNumber = 0;
  #greeted = false;
  #over = false;

  constructor(events: RunnerSessionEvents, limits: WindowLimits = DEFAULT_WINDOWS) {
    this.#events = events;
    const drained = (call: CallNumber) => this.#calls.get(call)?.handler.drained();
    this.#outbox = new Outbox<RunnerFrame>(events.wake, drained, events.linger ?? events.wake);
    // A body that goes on after its offer is not small, so it need not show that it uses its window.
    const wide = { ...limits, firstBytes: limits.callBytes };
    this.#windows = new ReceiveWindows(wide, (call, bytes) => this.#outbox.control({ type: "credit", call, bytes }));
    this.#state = { calls: this.#calls, outbox: this.#outbox, windows: this.#windows };
  }

  hello(hello: RunnerHello): void {
    this.#outbox.control({ type: "hello", hello });
  }

  /** Only the newest counts: a gateway that does not read must not make a queue of them. */
  capacity(capacity: Capacity): void {
    if (this.#capacity !== undefined) this.#outbox.withdraw(this.#capacity);
    this.#capacity = { type: "capacity", capacity };
    this.#outbox.control(this.#capacity);
  }

  draining(): void {
    this.#outbox.control({ type: "draining" });
  }

  get over(): boolean {
    return this.#over;
  }

  /** Calls that have not ended. */
  get size(): number {
    return this.#calls.size;
  }

  /** What is held for calls: nothing, once all have ended. */
  get held(): SessionHoldings {
    return { calls: this.#calls.size, bodies: this.#outbox.bodies, windowBytes: this.#windows.outstandingBytes };
  }

  get idle(): boolean {
    return this.#outbox.empty;
  }

  take(budgetBytes: number): RunnerFrame[] {
    return this.#outbox.take(budgetBytes);
  }

  /** @throws ProtocolError on a frame that cannot come now */
  receive(frames: readonly GatewayFrame[]): void {
    for (const frame of frames) {
      if (!this.#greeted && frame.type !== "hello")
        throw new ProtocolError(`Gateway sent "${frame.type}" before "hello"`);
      if (frame.type === "hello") this.#hello(frame.gatewayId, frame.version);
      else if (frame.type === "offer") this.#offer(frame.call, frame.offer);
      else this.#ofCall(frame);
    }
  }

  /** The connection is gone: every call is cancelled, and what it says from now on goes nowhere. */
  lost(): void {
    if (this.#over) return;
    this.#over = true;
    const open = this.#calls.values();
    for (const call of open) call.release();
    for (const call of open) if (!call.cancelled) call.handler.cancel("runner_lost");
    this.#events.wake();
  }

  #hello(gatewayId: string, version: string): void {
    if (this.#greeted) throw new ProtocolError('Gateway sent "hello" twice');
    this.#greeted = true;
    this.#events.hello(gatewayId, version);
  }

  #offer(call: CallNumber, offered: OfferedCall): void {
    if (call <= this.#lastNumber) throw new ProtocolError(`Gateway used call number ${call} again`);
    if (offered.body.length > OFFER_BODY_BYTES) {
      throw new ProtocolError(`Gateway offered call ${call} with ${offered.body.length} bytes of body at once`);
    }
    this.#lastNumber = call;
    this.#outbox.open(call, offered.responseCredit);
    // The handler may answer at once, so the call must be open before it is told.
    const open = new OpenCall(call, offered, this.#state);
    this.#calls.set(call, open);
    open.handler = this.#events.offer(offered, open);
  }

  #ofCall(frame: Exclude<GatewayFrame, { type: "hello" | "offer" }>): void {
    if (frame.call > this.#lastNumber) {
      throw new ProtocolError(`Gateway sent "${frame.type}" for call ${frame.call}, never offered`);
    }
    const open = this.#calls.get(frame.call);
    // The answer may still be on its way out after the call has ended here.
    if (frame.type === "credit") return this.#outbox.credit(frame.call, frame.bytes);
    if (frame.type === "cancel") this.#outbox.cut(frame.call);
    // Other frames that were under way when the call ended are late, not wrong.
    if (open === undefined || open.cancelled) return;
    switch (frame.type) {
      case "start":
        if (open.phase !== "waiting") throw new ProtocolError(`Gateway sent "start" for a call that is ${open.phase}`);
        open.phase = "running";
        return open.handler.start();
      case "data":
        return this.#data(open, frame.call, frame.bytes, frame.end);
      case "cancel":
        open.cancelled = true;
        return open.handler.cancel(frame.code);
    }
  }

  #data(open: OpenCall, call: CallNumber, bytes: Uint8Array, end: boolean): void {
    if (!open.receiving) throw new ProtocolError(`Gateway sent data after the end of call ${call}'s body`);
    if (bytes.length > 0 && !this.#windows.received(call, bytes.length)) {
      throw new ProtocolError(`Gateway sent more of call ${call} than it had credit for`);
    }
    open.receiving = !end;
    open.handler.data(bytes, end);
  }
}
