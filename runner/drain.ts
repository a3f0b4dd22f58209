import { CallError } from "../core/call-error.ts";
import { pause, type Clock } from "../core/clock.ts";
import type { Log } from "../core/log.ts";
import type { CallRun } from "./calls/call-run.ts";

interface Calls extends Iterable<CallRun> {
  readonly size: number;
}

export interface DrainParts {
  /** Calls of gateways. */
  readonly active: Calls;
  /** The runner's own. */
  readonly own: Calls;
  /** Containers that exist or are being started or removed. */
  readonly containers: () => number;
  /** Whether any can be removed just now. */
  readonly canRemove: () => boolean;
  /** Ends starts that are under way. */
  readonly stopStarts: (reason: CallError) => void;
  /** Running calls are no longer waited for. */
  readonly hurried: AbortSignal;
  readonly drainMs: number;
  /** How long containers that are left then get to go. */
  readonly removeMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** How a runner ended. */
export interface DrainReport {
  /** Calls that did not end by themselves. */
  readonly cutCalls: number;
  /** Containers that could not be removed. */
  readonly leftContainers: number;
}

const POLL_MS = 10;
/** Where the driver cannot remove anything, as long as it may take to hear that it can again. */
const HOPELESS_MS = 2_000;

/** Waits for running calls within their bound, ends those that are left, and waits until their containers are gone. */
export async function drainCalls(parts: DrainParts): Promise<DrainReport> {
  const { active, own, containers, hurried, drainMs, removeMs, clock, log } = parts;
  const until = async (done: () => boolean, ms: number) => {
    const end = clock.now() + ms;
    while (!done() && clock.now() < end) await pause(clock, POLL_MS);
  };

  const reason = new CallError("shutting_down");
  // Nobody waits for a status of a runner that goes.
  for (const run of own) run.end(reason);
  await until(() => active.size === 0 || hurried.aborted, drainMs);
  const cutCalls = active.size;
  if (cutCalls > 0) log.warn("Ending calls that still run", { calls: cutCalls, hurried: hurried.aborted });
  parts.stopStarts(reason);
  for (const run of active) run.end(reason);
  await until(() => containers() === 0, parts.canRemove() ? removeMs : Math.min(removeMs, HOPELESS_MS));
  const leftContainers = containers();
  if (leftContainers > 0) log.error("Containers are left behind", { containers: leftContainers });
  return { cutCalls, leftContainers };
}
