import { randomBytes } from "node:crypto";

import { newCallId, type Call } from "../../core/call.ts";
import { containerTask, slotKey, type ContainerTask } from "../../core/container-task.ts";
import { DEFAULTS } from "../../core/function-spec.ts";
import type { OfferedCall } from "../../core/session/frames.ts";
import type { Booking } from "../slots/slot.ts";

/** How a status image is called. It has a room of its own, whatever the runner is asked to do beside it. */
export interface StatusCalls {
  /** @param remainingMs - for all of it, waiting and starting included */
  offer(body: Uint8Array, networkDisabled: boolean, remainingMs: number): OfferedCall;
  /** Whether a container is the status image's: nobody else can ask for one like it. */
  isOwn(task: ContainerTask): boolean;
}

export const STATUS_BOOKING: Booking = { memoryMiB: 128, cpuMillis: 0 };
/** What the status image may answer. */
export const STATUS_DETAILS_BYTES = 65_536;

const TIMEOUT_MS = 5_000;
/** Less than an answer is kept for: the next call then goes all the way, with a new container. */
const IDLE_TIMEOUT_MS = 1_000;

export function statusCalls(image: string): StatusCalls {
  // Not to be guessed: otherwise a user's call with the same fields would share the container.
  const fnId = `status-${randomBytes(16).toString("hex")}`;
  return {
    offer(body, networkDisabled, remainingMs) {
      const call = statusCall(image, fnId, networkDisabled);
      const affinityKey = slotKey(containerTask(call));
      return { call, remainingMs, affinityKey, body, end: true, responseCredit: STATUS_DETAILS_BYTES };
    },
    isOwn: (task) => task.fnId === fnId,
  };
}

function statusCall(image: string, fnId: string, networkDisabled: boolean): Call {
  return {
    ...DEFAULTS,
    id: newCallId(),
    type: "sync",
    appId: "kiln",
    appName: "kiln",
    fnId,
    fnName: "status",
    image,
    memoryMiB: STATUS_BOOKING.memoryMiB,
    cpuMillis: STATUS_BOOKING.cpuMillis,
    timeoutMs: TIMEOUT_MS,
    idleTimeoutMs: IDLE_TIMEOUT_MS,
    config: {},
    annotations: {},
    syslogUrl: "",
    networkDisabled,
    method: "GET",
    url: "http://localhost/",
    headers: [["Content-Type", "application/json"]],
    extensions: {},
    callExtensions: {},
    registryToken: "",
  };
}
