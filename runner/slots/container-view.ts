import type { ContainerTask } from "../../core/container-task.ts";
import type { Entry } from "./entry.ts";
import type { Start } from "./starts.ts";

/** What a container does, under Fn's names. */
export const CONTAINER_STATES = ["wait", "start", "idle", "paused", "busy", "leaving"] as const;

export interface ContainerView {
  readonly task: ContainerTask;
  readonly state: (typeof CONTAINER_STATES)[number];
}

export function* containerViews<C>(starts: Iterable<Start<C>>, entries: Iterable<Entry<C>>): Generator<ContainerView> {
  for (const start of starts) yield viewOfStart(start);
  for (const entry of entries) yield viewOfEntry(entry);
}

/** A container on its way waits for room, for its image or for its turn until it is being started. */
function viewOfStart<C>({ phase, request: { task } }: Start<C>): ContainerView {
  return { task, state: phase === "starting" ? "start" : "wait" };
}

function viewOfEntry<C>({ state, ice, calls, request: { task } }: Entry<C>): ContainerView {
  if (state === "leaving") return { task, state };
  if (calls > 0) return { task, state: "busy" };
  return { task, state: ice === "none" ? "idle" : "paused" };
}
