import type { CallError } from "../../core/call-error.ts";
import type { ErrorCode } from "../../core/error-codes.ts";
import type { Finish, RefusalScope, ResponseHead } from "../../core/session/frames.ts";

/** What the runner hears of a call it was offered. Nothing more comes after `cancel`. */
export interface OfferedCallHandler {
  /** The gateway lets a call run that was pending. */
  start(): void;
  data(bytes: Uint8Array, end: boolean): void;
  /** All that was written of the response is on its way. */
  drained(): void;
  /** The gateway no longer wants the call, or is gone. It still wants to hear the end. */
  cancel(code: ErrorCode): void;
}

/** What the runner says of a call. The last is `refuse` or `finish`; after it nothing is sent. */
export interface CallPort {
  refuse(reason: CallError, scope: RefusalScope): void;
  pending(phase: string): void;
  /** The call has a container: it runs now, or at `start` if it was pending. */
  accept(containerId: string): void;
  head(head: ResponseHead): void;
  /** False: write no more until `drained`. */
  write(bytes: Uint8Array): boolean;
  /** The request bytes have left memory. */
  consumed(bytes: number): void;
  finish(finish: Finish): void;
}

/** Hears nothing: for a call that was refused before anyone took it. */
export const NOBODY: OfferedCallHandler = { start() {}, data() {}, drained() {}, cancel() {} };
