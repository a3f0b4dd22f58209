import { systemClock } from "../../core/clock.ts";
import { ENGINE_TIMEOUTS, type EngineClient } from "../../runner/driver/docker/engine-call.ts";
import type { Docker } from "../../runner/driver/docker/engine.ts";

/** An Engine with the limits that a runner has unless told otherwise. */
export function engineClient(docker: Docker): EngineClient {
  return { docker, clock: systemClock, timeouts: ENGINE_TIMEOUTS };
}
