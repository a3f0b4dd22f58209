import type { GatewayFrame, RunnerFrame } from "../../gen/kiln/runner/v1/runner_pb.ts";

/** From the gateway `up` to the runner, or `down` from it, and what the frame is. */
export type FrameKind =
  | `up ${Exclude<GatewayFrame["frame"]["case"], undefined>}`
  | `down ${Exclude<RunnerFrame["frame"]["case"], undefined>}`;

/** `drop` loses the frame alone, `cut` the connection with it, `then cut` the connection right after it has arrived. */
export type FaultMode = "drop" | "cut" | "then cut";

export interface FrameFault {
  readonly kind: FrameKind;
  readonly mode: FaultMode;
}

/** What frame proxies do to the frames they carry: one fault at a time, which befalls one frame. */
export class FaultPlan {
  #next: FrameFault | undefined;
  /** The frames that were met since the last fault was planted, in their order, and on whose sessions. */
  readonly seen: { readonly runner: string; readonly kind: FrameKind }[] = [];

  /** Befalls the next frame of its kind, on whichever connection that is. */
  plant(fault: FrameFault): void {
    this.#next = fault;
    this.seen.length = 0;
  }

  /** Whether the planted fault still waits for its frame. */
  get waiting(): boolean {
    return this.#next !== undefined;
  }

  /** What is to become of a frame. */
  meet(runner: string, kind: FrameKind): FaultMode | undefined {
    this.seen.push({ runner, kind });
    if (this.#next?.kind !== kind) return undefined;
    const { mode } = this.#next;
    this.#next = undefined;
    return mode;
  }
}
