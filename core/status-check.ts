import type { ErrorCode } from "./error-codes.ts";
import type { Timings } from "./session/frames.ts";

/** What an operator's checks of a runner found. Its own calls tell nothing of users' calls. */
export interface StatusCheck {
  /** Undefined: all is well. */
  readonly failure: StatusFailure | undefined;
  /** Of the status image's call; empty where none was made. */
  readonly callId: string;
  /** What the status image answered. */
  readonly details: Uint8Array;
  /** Milliseconds since 1970, on the runner's clock. */
  readonly createdAtMs: number;
  readonly completedAtMs: number;
  /** Where the time of the status image's call went. */
  readonly timings: Timings;
  /** Found by an earlier request, or asked for by one that was faster. */
  readonly cached: boolean;
  /** The file of the network barrier is missing. */
  readonly networkDisabled: boolean;
  /** What the operator's health checks said. */
  readonly custom: Readonly<Record<string, string>>;
}

export interface StatusFailure {
  /** Undefined where the status image said so itself. */
  readonly code: ErrorCode | undefined;
  readonly message: string;
  /** The HTTP status that says the same, or 0. */
  readonly status: number;
}
