import { once } from "node:events";

import type { StopRequests } from "../core/stop-requests.ts";
import { type Child, type ChildPlan, messageOf, startChild } from "./child.ts";
import type { Write } from "./command.ts";

export interface SupervisorOptions {
  /** In the order to start; each may need the addresses of those before it. They end in the opposite order. */
  readonly plans: readonly ((started: readonly Child[]) => ChildPlan)[];
  readonly stop: StopRequests;
  /** Called once, when all are ready. */
  readonly ready: (children: readonly Child[]) => void;
  /** Where faults are told. */
  readonly complain: Write;
}

/**
 * Starts processes one after the other and keeps them until a stop is asked for or one of them is gone; then
 * ends the others. Resolves when all are gone.
 * @returns the exit code: 0 only where all were asked to end, and did
 */
export async function supervise({ plans, stop, ready, complain }: SupervisorOptions): Promise<number> {
  const children: Child[] = [];
  const faults = new Set<string>();
  const fail = (message: string) => {
    if (!faults.has(message)) complain(`${message}\n`);
    faults.add(message);
  };
  try {
    for (const plan of plans) children.push(await startChild(plan(children), anyOf(children, stop.asked)));
    ready(children);
    const over = anyOf(children, stop.asked);
    if (!over.aborted) await once(over, "abort");
    over.throwIfAborted();
  } catch (reason) {
    if (!stop.asked.aborted) fail(messageOf(reason));
  }
  for (const child of children.toReversed()) {
    const complaint = await child.end(stop.hurried);
    if (complaint !== undefined) fail(complaint);
  }
  return faults.size === 0 ? 0 : 1;
}

function anyOf(children: readonly Child[], asked: AbortSignal): AbortSignal {
  return AbortSignal.any([asked, ...children.map(({ gone }) => gone)]);
}
