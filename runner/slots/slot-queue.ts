import type { Clock } from "../../core/clock.ts";
import type { SlotKey } from "../../core/container-task.ts";
import { freeSlots, returningSlots, type Entry } from "./entry.ts";
import type { Estimate } from "./estimates.ts";
import { Latecomers } from "./latecomers.ts";
import type { SlotRequest } from "./slot.ts";
import type { Start } from "./starts.ts";
import { Tally } from "./tally.ts";
import { WaitingLine, type Waiting } from "./waiting-line.ts";

/** All of one slot key: its containers, the starts of more, and the calls that wait. */
export class SlotQueue<C> {
  readonly key: SlotKey;
  readonly estimate: Estimate;
  /** Containers that are not leaving. */
  readonly entries = new Set<Entry<C>>();
  /** Those with a slot free: first the ones that run calls, so that others can rest. Last in, first out. */
  readonly #open: Entry<C>[] = [];
  readonly #idle: Entry<C>[] = [];
  /** Containers on their way, blocked ones included. */
  readonly starts = new Set<Start<C>>();
  readonly waiting = new WaitingLine<C>();
  /** Calls that hold a slot. */
  readonly holders = new Tally();
  readonly latecomers: Latecomers;
  /** Containers that are removed and not yet gone. */
  leaving = 0;
  /** No container is started for its minimum alone before this. */
  pausedUntil = -Infinity;
  /** Of the call that came last: how many containers there may be, and the token for the next one's image. */
  latest: SlotRequest;

  constructor(request: SlotRequest, estimate: Estimate, clock: Clock) {
    this.key = request.key;
    this.latecomers = new Latecomers(clock);
    this.latest = request;
    this.estimate = estimate;
  }

  /** Calls that one of its containers takes at the same time, while it is new. */
  get concurrency(): number {
    const { concurrency, maxCalls } = this.latest.task;
    return maxCalls === 0 ? concurrency : Math.min(concurrency, maxCalls);
  }

  get unused(): boolean {
    return this.entries.size + this.starts.size + this.waiting.length + this.leaving === 0;
  }

  /** No call runs in its containers, and none waits. */
  get atRest(): boolean {
    if (this.waiting.length > 0) return false;
    for (const { calls } of this.entries) if (calls > 0) return false;
    return true;
  }

  /** No more may be started. */
  get full(): boolean {
    const { maxContainers } = this.latest;
    return maxContainers > 0 && this.entries.size + this.starts.size + this.leaving >= maxContainers;
  }

  /** Whether a start less would be one too few, for its calls or for the containers it is to keep. */
  missesStart(least: number): boolean {
    const others = this.starts.size - 1;
    return this.waiting.length > others * this.concurrency || this.entries.size + others < least;
  }

  /** All its starts wait for the image, so another would wait for it as well. */
  get pulls(): boolean {
    return this.starts.size > 0 && [...this.starts].every(({ phase }) => phase === "preparing");
  }

  /** Starts of its own have not had their turn, so that of another would come even later. */
  get queuesForTurn(): boolean {
    return [...this.starts].some(({ phase }) => phase !== "starting");
  }

  /** Calls that run in containers which have not broken. */
  get running(): number {
    let running = 0;
    for (const entry of this.entries) if (!entry.broken) running += entry.calls;
    return running;
  }

  /** Slots that come back with the ends of calls that run. */
  get slotsToReturn(): number {
    let slots = 0;
    for (const entry of this.entries) slots += returningSlots(entry);
    return slots;
  }

  /** Free slots of containers that run calls. */
  get spareSlots(): number {
    return this.#open.reduce((sum, entry) => sum + freeSlots(entry), 0);
  }

  /** Slots of containers on their way that no waiting call counts on. */
  get slotsToCome(): number {
    return Math.max(0, this.#backed - this.waiting.length);
  }

  /** The container for the next call, if one has a slot free. */
  get best(): Entry<C> | undefined {
    return this.#open.at(-1) ?? this.#idle.at(-1);
  }

  /** Waiting calls for which no start is under way. */
  get unbacked(): readonly Waiting<C>[] {
    return this.waiting.slice(this.#backed);
  }

  /** The same, and they no longer wait. */
  takeUnbacked(): readonly Waiting<C>[] {
    const taken = this.unbacked;
    for (const waiting of taken) this.waiting.remove(waiting);
    return taken;
  }

  /** Whether a start is under way that it can count on. */
  isBacked(waiting: Waiting<C>): boolean {
    return this.waiting.indexOf(waiting) < this.#backed;
  }

  /** The call whose turn it is, taken from the queue if the container has a slot for it. */
  next(entry: Entry<C>): Waiting<C> | undefined {
    return freeSlots(entry) > 0 ? this.waiting.shift() : undefined;
  }

  /** Tells those for whom one is under way, if they do not know it yet. */
  tellBacked(): void {
    for (const waiting of this.waiting.slice(0, this.#backed)) {
      if (waiting.told) continue;
      waiting.told = true;
      waiting.waiter.waits();
    }
  }

  /** How many of the waiting calls can count on a start. */
  get #backed(): number {
    return this.starts.size * this.concurrency;
  }

  /** Puts a container where it now belongs. */
  place(entry: Entry<C>): void {
    drop(this.#open, entry);
    drop(this.#idle, entry);
    if (freeSlots(entry) === 0) return;
    const runs = entry.calls > 0 || entry.state === "thawing";
    (runs ? this.#open : this.#idle).push(entry);
  }
}

function drop<T>(list: T[], item: T): void {
  // What was used last is at the end.
  const at = list.lastIndexOf(item);
  if (at >= 0) list.splice(at, 1);
}
