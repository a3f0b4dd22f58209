import type { Call } from "../../core/call.ts";
import type { InvokeLimits } from "./limits.ts";

/** How long a call may take in all: queueing and a cold start burn this, and not the function's own timeout. */
export interface Allowance {
  readonly ms: number;
  /** The settings that add up to it, for who wonders why it ended. */
  readonly made: string;
}

export function allowanceOf({ type, timeoutMs }: Call, limits: InvokeLimits): Allowance {
  const detached = type === "detached";
  const placerTimeoutMs = detached ? limits.detachedPlacerTimeoutMs : limits.placerTimeoutMs;
  const setting = detached ? "FN_DETACHED_PLACER_TIMEOUT_MSECS" : "FN_PLACER_TIMEOUT_MSECS";
  return {
    ms: placerTimeoutMs + timeoutMs + limits.headroomMs,
    made: `${setting} ${placerTimeoutMs} + the function's timeout ${timeoutMs} + FN_EXECUTION_HEADROOM ${limits.headroomMs}`,
  };
}
