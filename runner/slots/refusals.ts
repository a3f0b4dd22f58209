import { CallError } from "../../core/call-error.ts";
import type { Resources } from "./resources.ts";
import type { Acquired, SlotRequest } from "./slot.ts";

/** Not here; another runner may be larger, or less busy. */
export function refused<C>(reason: CallError): Acquired<C> {
  return { kind: "refused", reason, scope: "this_runner" };
}

export function tooBig({ booking }: SlotRequest, { total }: Resources): CallError {
  return new CallError(
    "resource_too_big",
    `Requested CPU/Memory cannot be allocated: it needs ${booking.memoryMiB} MiB and ${booking.cpuMillis} mCPU, ` +
      `the runner has ${total.memoryMiB} MiB and ${total.cpuMillis} mCPU`,
  );
}

/** Its own limits stand in the way, not this runner's. */
export function full({ maxContainers, task }: SlotRequest): CallError {
  const all = maxContainers === 1 ? "its only container" : `all ${maxContainers} containers`;
  return new CallError(
    "server_busy",
    `Timed out - server too busy: ${all} that function ${task.fnId} may have on this runner (max_containers) run calls`,
  );
}

export function crowded(most: number): CallError {
  return new CallError(
    "server_busy",
    `Timed out - server too busy: ${most} calls of the function wait already (FN_MAX_WAITING_CALLS)`,
  );
}

export function busy({ booking }: SlotRequest, { free }: Resources): CallError {
  return new CallError(
    "server_busy",
    `Timed out - server too busy: a container needs ${booking.memoryMiB} MiB and ${booking.cpuMillis} mCPU, ` +
      `free are ${free.memoryMiB} MiB and ${free.cpuMillis} mCPU`,
  );
}
