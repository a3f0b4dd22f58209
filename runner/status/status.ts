import type { Clock } from "../../core/clock.ts";
import type { Metrics } from "../../core/metrics.ts";
import type { StatusCheck } from "../../core/status-check.ts";
import type { CollectOptions } from "../calls/collect-call.ts";
import type { Driver, DriverHook } from "../driver/driver.ts";
import type { Booking } from "../slots/slot.ts";
import { checkStatus, type StatusOptions } from "./check-status.ts";
import { KeptChecks } from "./kept-checks.ts";
import { NetworkBarrier } from "./network-barrier.ts";
import { reservedImage, type ReservedImage } from "./reserved-image.ts";
import { STATUS_BOOKING, statusCalls } from "./status-call.ts";

export interface StatusDependencies<Options> extends StatusOptions {
  readonly driver: Pick<Driver<Options>, "imageId">;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** How the runner runs a call of its own. */
  readonly offer: CollectOptions["offer"];
}

/** A runner's checks. */
export interface Status<Options> {
  /** Undefined where there is nothing to check. */
  readonly check: ((body: Uint8Array, signal: AbortSignal) => Promise<StatusCheck>) | undefined;
  /** Whether a gateway's call may use an image, as `ReservedImage` has it; undefined where any may. */
  readonly admit: ReservedImage<Options>["admit"] | undefined;
  /** Around every start. */
  readonly hooks: readonly DriverHook<Options>[];
  /** What of the machine is left for calls. */
  leaves(all: Booking): Booking;
}

const NO_BODY = Buffer.from("{}");

export function statusOf<Options>(dependencies: StatusDependencies<Options>): Status<Options> {
  const { image = "", networkBarrier: path = "", networkBarrierMs: timeoutMs = 2_000 } = dependencies;
  const { healthChecks = [], driver, clock, metrics } = dependencies;
  if (image === "" && path === "" && healthChecks.length === 0) {
    return { check: undefined, admit: undefined, hooks: [], leaves: (all) => all };
  }
  const calls = statusCalls(image);
  const reserved = image === "" ? undefined : reservedImage(image, calls, driver);
  const barrier = path === "" ? undefined : new NetworkBarrier({ path, timeoutMs, clock });
  const kept = new KeptChecks((body) => checkStatus(body, { ...dependencies, calls, barrier }), clock);
  const count = metrics.counter("fn_status_call", "Status checks, by what they told");
  return {
    async check(body, signal) {
      try {
        const check = await kept.get(body.length === 0 ? NO_BODY : body, signal);
        const { cached, failure, networkDisabled } = check;
        count.add(1, labels(cached, failure === undefined, !networkDisabled));
        return check;
      } catch (error) {
        count.add(1, labels("error", "error", "error"));
        throw error;
      }
    },
    admit: reserved?.admit,
    hooks: reserved === undefined ? [] : [reserved.hook],
    leaves: (all) => (image === "" ? all : lessStatus(all)),
  };
}

/** The status image has its room whatever else the runner holds: a full runner is a healthy one. */
function lessStatus({ memoryMiB, cpuMillis }: Booking): Booking {
  return { memoryMiB: Math.max(0, memoryMiB - STATUS_BOOKING.memoryMiB), cpuMillis };
}

/** As Fn has them. */
function labels(cached: boolean | "error", success: boolean | "error", network: boolean | "error") {
  return { cached: String(cached), success: String(success), network: String(network) };
}
