import type { CallError } from "../../core/call-error.ts";
import type { Call, ExtensionMap } from "../../core/call.ts";
import type { ErrorCode } from "../../core/error-codes.ts";
import type { Capacity, Finish, RefusalScope, ResponseHead } from "../../core/session/frames.ts";
import type { StatusCheck } from "../../core/status-check.ts";

/** Chooses a runner for a call. */
export interface Placer {
  /**
   * Resolves once a runner has taken the call; what follows goes to the call's sink.
   * Offers to one runner at a time, and to none after the call was placed.
   * @throws CallError when nobody took it, or `signal` aborted first
   */
  place(call: RunnerCall, pool: RunnerPool, signal: AbortSignal): Promise<Placement>;
}

export interface Placement {
  readonly runner: Runner;
  /** Runners asked, the one that took the call included. */
  readonly attempts: number;
}

/** Knows the runners. Disposing it closes them all. */
export interface RunnerPool extends AsyncDisposable {
  /**
   * The runners to ask, in the order to ask them; asked again before every round, so a pool may grow.
   * An empty list means none now, ask again. A thrown CallError ends the call without another try.
   */
  runners(call: RunnerCall, signal: AbortSignal): Promise<readonly Runner[]>;
  /** Calls `hear` with news of its runners and of its members; returns the unsubscriber. */
  onCapacity(hear: (news: CapacityNews) => void): () => void;
}

/** What may have made a runner able to take a call. */
export type CapacityNews =
  /** It told what it has free, or can be reached now. */
  | { readonly kind: "told"; readonly runner: Runner }
  /** A call that it was offered is over there: refused, or it ran and came to this. */
  | {
      readonly kind: "ended";
      readonly runner: Runner;
      readonly call: RunnerCall;
      readonly placed: boolean;
      /** Undefined for success. */
      readonly code: ErrorCode | undefined;
    }
  /** The pool has other runners than before. */
  | { readonly kind: "members" };

/** What a runner is called by, to choose it: `group: "gpu"`. */
export type RunnerLabels = Readonly<Record<string, string>>;

/** What is known of a runner without asking it. */
export interface RunnerLoad {
  /** As it last told; undefined before it has. */
  readonly capacity: Capacity | undefined;
  /** The clock's reading when it told that. */
  readonly toldAt: number;
  /** Calls of this gateway that have not ended there, offers included. */
  readonly inFlight: number;
  /** It said that it takes no more calls. */
  readonly draining: boolean;
}

/** One runner, as a gateway sees it. Disposing it ends its sessions after their calls. */
export interface Runner extends AsyncDisposable {
  readonly address: string;
  /** None, unless told. */
  readonly labels?: RunnerLabels;
  /** Whether it can be reached now. */
  readonly connected: boolean;
  readonly load: RunnerLoad;
  /** Never throws: whatever happens before the call may have started is a refusal. */
  tryCall(call: RunnerCall, signal: AbortSignal): Promise<Offer>;
  /**
   * @param body - for the runner's status image, at most 64 KiB; `{}` where it is left out
   * @throws CallError `runner_unreachable`
   */
  status(signal: AbortSignal, body?: Uint8Array): Promise<RunnerStatus>;
  /** Calls `hear` with its news; returns the unsubscriber. */
  onCapacity(hear: (news: CapacityNews) => void): () => void;
}

/** A runner's answer. After `placed` the call may run, and is never offered to another. */
export type Offer =
  | { readonly placed: true }
  | { readonly placed: false; readonly reason: CallError; readonly scope: RefusalScope };

export interface RunnerStatus {
  readonly runnerId: string;
  readonly bootId: string;
  readonly version: string;
  readonly isolation: "none" | "container";
  readonly draining: boolean;
  readonly active: number;
  readonly received: number;
  /** Refused ones are not counted. */
  readonly handled: number;
  readonly capacity: Capacity;
  /** What its operator's checks found; undefined where it has none, and while it drains. */
  readonly check: StatusCheck | undefined;
}

/** A call on its way to a runner: what pools, placers and runners see of it. */
export interface RunnerCall {
  readonly call: Call;
  /** Equal for calls that can share a hot container. */
  readonly affinityKey: string;
  readonly extensions: ExtensionMap;
  /** The clock's reading at which the call is too late; Infinity for never. */
  readonly deadline: number;
  /** The request body from its first byte, at every try. */
  body(): RequestBody;
  readonly sink: ResponseSink;
}

/** A small body is whole, and never pays for a stream. */
export type RequestBody = { readonly whole: Uint8Array } | { readonly stream: BodySource };

/** A request body that is read as the runner has room for it. */
export interface BodySource {
  /** Its first bytes, at most 64 KiB, read already: the part that may be sent twice. */
  readonly first: Uint8Array;
  /** What follows `first`. May be read once, and only after a runner took the call. */
  rest(): AsyncIterable<Uint8Array>;
}

/**
 * Where a runner puts a call's answer. Calls come in this order: pending?, placed, head?, data*, finish;
 * nothing after `finish`. A call that failed before it could run is finished without having been placed.
 * A runner may refuse after `pending`, and then another begins again.
 */
export interface ResponseSink {
  /** The call waits for a container. */
  pending(phase: string): void;
  /** The call runs, or may run, on this runner from now on. */
  placed(runner: Runner, detail: { readonly containerId: string; readonly warm: boolean }): void;
  head(head: ResponseHead): void;
  /** `consumed` returns credit: call it with the bytes that are out of memory, of this chunk and of those before it. */
  data(bytes: Uint8Array, consumed: (bytes: number) => void): void;
  finish(finish: Finish): void;
}
