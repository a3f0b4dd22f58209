import type { Slot, SlotRequest, SlotWaiter } from "./slot.ts";

/** What a slot table knows of one container. */
export interface Entry<C> extends Slot<C> {
  state: "idle" | "thawing" | "busy" | "leaving";
  /** Frozen is also what may be, after a freeze that failed. A busy one never is. */
  ice: "none" | "freezing" | "frozen";
  /** False once a freeze has failed: it is not tried again. */
  freezable: boolean;
  idleSince: number;
  /** It ended while a call still held it. */
  dead: boolean;
}

/** A call whose container thaws. */
export interface ThawTicket<C> {
  readonly request: SlotRequest;
  readonly waiter: SlotWaiter<C>;
}

/** All slots of one key. There are never more calls waiting than containers on their way. */
export interface Queue<C> {
  /** Last in, first out: the newest is the warmest, and the oldest may leave. */
  readonly idle: Entry<C>[];
  /** First come, first served. */
  readonly waiting: SlotWaiter<C>[];
  /** Containers on their way, blocked ones included. */
  starting: number;
}

/** Containers on their way, calls that wait, and calls that run. */
export interface Load {
  readonly starting: number;
  readonly waiting: number;
  readonly running: number;
}

export function loadOf<C>(queues: Iterable<Queue<C>>, entries: Iterable<Entry<C>>): Load {
  let [starting, waiting, running] = [0, 0, 0];
  for (const queue of queues) {
    starting += queue.starting;
    waiting += queue.waiting.length;
  }
  for (const { state } of entries) if (state === "busy") running += 1;
  return { starting, waiting, running };
}
