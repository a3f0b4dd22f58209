import type { Call, HeaderList } from "../call.ts";
import type { ErrorCode } from "../error-codes.ts";

/** A call's number within its session: from 1, never used again. */
export type CallNumber = number;

export type Isolation = "none" | "container";
export type RefusalScope = "this_runner" | "any_runner";

/** What one end of a session keeps for its calls. */
export interface SessionHoldings {
  readonly calls: number;
  /** Bodies that have not been sent to their end. */
  readonly bodies: number;
  /** Credit that was given and has not come back. */
  readonly windowBytes: number;
}

/** What a runner has free, in the units containers are booked in. */
export interface Capacity {
  readonly freeMemoryMiB: number;
  readonly freeCpuMillis: number;
  readonly totalMemoryMiB: number;
  readonly totalCpuMillis: number;
  /** Idle containers by affinity key. */
  readonly idle: Readonly<Record<string, number>>;
  /**
   * Calls that running containers could take besides those they run, and those that are being started besides those
   * that wait for them, by affinity key; idle ones are not counted.
   */
  readonly spareSlots: Readonly<Record<string, number>>;
  /** Containers that are being started, or wait for their turn or for room. */
  readonly starting: number;
  /** Calls that wait for a slot. */
  readonly waiting: number;
  /** Calls that have one. */
  readonly running: number;
}

/** Of a runner that has said nothing yet. */
export const NO_CAPACITY: Capacity = {
  freeMemoryMiB: 0,
  freeCpuMillis: 0,
  totalMemoryMiB: 0,
  totalCpuMillis: 0,
  idle: {},
  spareSlots: {},
  starting: 0,
  waiting: 0,
  running: 0,
};

export interface RunnerHello {
  readonly runnerId: string;
  /** Another one after every start of the runner. */
  readonly bootId: string;
  readonly version: string;
  readonly isolation: Isolation;
  readonly capacity: Capacity;
}

/** Where a call's time went on the runner, milliseconds; 0 for a phase it had not. */
export interface Timings {
  /** From the offer to a slot, waiting and starting included. */
  readonly waitMs: number;
  readonly pullMs: number;
  readonly startMs: number;
  readonly initMs: number;
  /** From the slot to the end of the response. */
  readonly runMs: number;
}

/** How a call ended on the runner. */
export type Finish =
  | { readonly ok: true; readonly timings: Timings }
  | {
      readonly ok: false;
      readonly timings: Timings;
      readonly code: ErrorCode;
      readonly message: string;
      /** Where it is not the code's own. */
      readonly status: number | undefined;
      readonly stderrTail: string;
    };

export interface ResponseHead {
  readonly status: number;
  readonly headers: HeaderList;
}

/** A call with the first bytes of its body, as a runner is asked to take it. */
export interface OfferedCall {
  readonly call: Call;
  /** Milliseconds left of the call's deadline, or Infinity. */
  readonly remainingMs: number;
  readonly affinityKey: string;
  readonly body: Uint8Array;
  /** True if `body` is all of it. */
  readonly end: boolean;
  /** Bytes of response the runner may send unasked. */
  readonly responseCredit: number;
}

export type DataFrame = {
  readonly type: "data";
  readonly call: CallNumber;
  readonly bytes: Uint8Array;
  readonly end: boolean;
};
export type CreditFrame = { readonly type: "credit"; readonly call: CallNumber; readonly bytes: number };

export type GatewayFrame =
  | { readonly type: "hello"; readonly gatewayId: string; readonly version: string }
  | { readonly type: "offer"; readonly call: CallNumber; readonly offer: OfferedCall }
  | { readonly type: "start"; readonly call: CallNumber }
  | { readonly type: "cancel"; readonly call: CallNumber; readonly code: ErrorCode }
  | DataFrame
  | CreditFrame;

export type RunnerFrame =
  | { readonly type: "hello"; readonly hello: RunnerHello }
  | {
      readonly type: "refused";
      readonly call: CallNumber;
      readonly code: ErrorCode;
      readonly message: string;
      readonly scope: RefusalScope;
    }
  | { readonly type: "pending"; readonly call: CallNumber; readonly phase: string }
  | { readonly type: "accepted"; readonly call: CallNumber; readonly containerId: string }
  | { readonly type: "head"; readonly call: CallNumber; readonly head: ResponseHead }
  | { readonly type: "finished"; readonly call: CallNumber; readonly finish: Finish }
  | { readonly type: "capacity"; readonly capacity: Capacity }
  | { readonly type: "draining" }
  | DataFrame
  | CreditFrame;

/** About how many bytes a frame takes, so that no message grows beyond what its reader accepts. */
export function weightOf(frame: GatewayFrame | RunnerFrame): number {
  if (frame.type === "offer") {
    const { call, body } = frame.offer;
    const maps = mapWeight(call.config) + mapWeight(call.extensions) + mapWeight(call.callExtensions);
    return body.length + fieldsWeight(call.headers) + maps;
  }
  if (frame.type === "head") return fieldsWeight(frame.head.headers);
  if (frame.type === "data") return frame.bytes.length;
  return frame.type === "finished" && !frame.finish.ok ? frame.finish.stderrTail.length : 0;
}

function fieldsWeight(fields: HeaderList): number {
  let weight = 0;
  for (const [name, value] of fields) weight += name.length + value.length;
  return weight;
}

function mapWeight(map: Readonly<Record<string, string>>): number {
  let weight = 0;
  for (const name in map) weight += name.length + (map[name]?.length ?? 0);
  return weight;
}

export const NO_TIMINGS: Timings = { waitMs: 0, pullMs: 0, startMs: 0, initMs: 0, runMs: 0 };

/** First bytes of a request body that go with the offer, and are all that is ever sent twice. */
export const OFFER_BODY_BYTES = 64 * 1024;
/** Largest piece of a body in one frame. */
export const DATA_FRAME_BYTES = 64 * 1024;
/** What a call's turn is good for, however many share a message. */
export const LEAST_TURN_BYTES = 16 * 1024;
/** Bodies in one message: enough to fill a fast line, little enough that a control frame soon follows. */
export const MESSAGE_BYTES = 128 * 1024;
/** More than any message of a session has: what fits `MESSAGE_BYTES`, and one frame more. */
export const LARGEST_MESSAGE_BYTES = 64 * 1024 * 1024;
