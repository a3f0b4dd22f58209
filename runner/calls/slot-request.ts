import type { Call } from "../../core/call.ts";
import type { Booking, SlotRequest } from "../slots/slot.ts";
import type { TaskCache } from "../slots/task-cache.ts";

/** What a call asks the slot table for. @param booking - what its container books, where that is not what it asks for */
export function slotRequest(call: Call, affinityKey: string, tasks: TaskCache, booking?: Booking): SlotRequest {
  const { task, key } = tasks.of(call, affinityKey);
  return {
    task,
    key,
    affinityKey,
    // A default tmpfs lies within the memory it is counted in, so it books nothing of its own.
    booking: booking ?? { memoryMiB: task.memoryMiB + task.tmpfsMiB, cpuMillis: task.cpuMillis },
    registryToken: call.registryToken,
    minContainers: call.minContainers,
    maxContainers: call.maxContainers,
  };
}
