import type { Seat } from "../../core/roster.ts";
import type { SlotQueue } from "./slot-queue.ts";
import type { RemovalReason, Slot, SlotRequest } from "./slot.ts";

/** What a slot table knows of one container. */
export interface Entry<C> extends Slot<C> {
  readonly queue: SlotQueue<C>;
  state: "running" | "thawing" | "leaving";
  /** Frozen is also what may be, after a freeze that failed. One that runs a call never is. */
  ice: "none" | "freezing" | "frozen";
  /** False once a freeze has failed: it is not tried again. */
  freezable: boolean;
  /** Calls that hold a slot of it. */
  calls: number;
  /** Calls that ever had one. */
  served: number;
  idleSince: number;
  /** Among the idle containers, while it is one of them. */
  idleSeat: Seat<Entry<C>> | undefined;
  /** It ended, or a call broke it: those that run in it end, and no other comes. */
  broken: boolean;
}

/** One call's hold on a slot, which is the slot as the call sees it. */
export class Hold<C> implements Slot<C> {
  readonly entry: Entry<C>;
  readonly source: object;
  readonly since: number;
  released = false;

  constructor(entry: Entry<C>, source: object, since: number) {
    this.entry = entry;
    this.source = source;
    this.since = since;
  }

  get container(): C {
    return this.entry.container;
  }

  get request(): SlotRequest {
    return this.entry.request;
  }
}

export function isHold<C>(slot: Slot<C>): slot is Hold<C> {
  return slot instanceof Hold;
}

/** Calls that it could take besides those it runs. */
export function freeSlots<C>(entry: Entry<C>): number {
  const { state, broken, calls, request } = entry;
  if (broken || state === "leaving") return 0;
  return Math.max(0, Math.min(request.task.concurrency - calls, callsLeft(entry)));
}

/** Slots that other calls can have, once those have ended that run in it. */
export function returningSlots<C>(entry: Entry<C>): number {
  return entry.broken ? 0 : Math.min(entry.calls, callsLeft(entry));
}

function callsLeft<C>({ served, request: { task } }: Entry<C>): number {
  return task.maxCalls === 0 ? Infinity : task.maxCalls - served;
}

/** Why it has to go, now that no call runs in it. */
export function worn<C>({ broken, served, request: { task } }: Entry<C>): RemovalReason | undefined {
  if (broken) return "broken";
  return task.maxCalls > 0 && served >= task.maxCalls ? "spent" : undefined;
}
