import type { CallError } from "../../core/call-error.ts";
import type { NumberMap } from "../../core/number-map.ts";
import type {
  CallNumber,
  Finish,
  OfferedCall,
  RefusalScope,
  ResponseHead,
  RunnerFrame,
} from "../../core/session/frames.ts";
import type { Outbox } from "../../core/session/outbox.ts";
import type { ReceiveWindows } from "../../core/session/receive-windows.ts";
import { NOBODY, type CallPort, type OfferedCallHandler } from "./call-port.ts";

/** What a session keeps of its calls. */
export interface SessionState {
  readonly calls: NumberMap<OpenCall>;
  readonly outbox: Outbox<RunnerFrame>;
  readonly windows: ReceiveWindows;
}

/** A call that has not ended, and what its runner says of it. */
export class OpenCall implements CallPort {
  handler: OfferedCallHandler = NOBODY;
  /** The request body has not ended. */
  receiving: boolean;
  phase: "offered" | "pending" | "waiting" | "running" = "offered";
  cancelled = false;
  readonly #call: CallNumber;
  readonly #detached: boolean;
  readonly #session: SessionState;

  constructor(call: CallNumber, offered: OfferedCall, session: SessionState) {
    this.receiving = !offered.end;
    this.#call = call;
    this.#detached = offered.call.type === "detached";
    this.#session = session;
  }

  refuse(reason: CallError, scope: RefusalScope): void {
    this.#control({ type: "refused", call: this.#call, code: reason.code, message: reason.message, scope });
    this.release();
  }

  pending(phase: string): void {
    this.phase = "pending";
    this.#control({ type: "pending", call: this.#call, phase });
  }

  accept(containerId: string): void {
    if (!this.#open) return;
    const { outbox, windows } = this.#session;
    const accepted: RunnerFrame = { type: "accepted", call: this.#call, containerId };
    const warm = this.phase === "offered";
    this.phase = warm ? "running" : "waiting";
    // Nobody waits for this one: with a short answer it is one message and wakes its reader once, not twice.
    if (warm && !this.receiving && !this.#detached) return outbox.unhurried(accepted);
    outbox.control(accepted);
    if (this.receiving) outbox.control({ type: "credit", call: this.#call, bytes: windows.open(this.#call) });
  }

  head(head: ResponseHead): void {
    this.#control({ type: "head", call: this.#call, head });
  }

  write(bytes: Uint8Array): boolean {
    return this.#session.outbox.write(this.#call, bytes);
  }

  consumed(bytes: number): void {
    this.#session.windows.consumed(this.#call, bytes);
  }

  finish(finish: Finish): void {
    if (!this.#open) return;
    const { calls, outbox, windows } = this.#session;
    windows.close(this.#call);
    calls.delete(this.#call);
    // A failure need not wait for the client to read what came before it.
    if (!finish.ok) outbox.cut(this.#call);
    outbox.end(this.#call, { type: "finished", call: this.#call, finish });
  }

  /** Forgets the call, and what it has not sent. */
  release(): void {
    const { calls, outbox, windows } = this.#session;
    calls.delete(this.#call);
    outbox.close(this.#call);
    windows.close(this.#call);
  }

  get #open(): boolean {
    return this.#session.calls.has(this.#call);
  }

  #control(frame: RunnerFrame): void {
    if (this.#open) this.#session.outbox.control(frame);
  }
}
