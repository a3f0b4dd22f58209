import { CallError } from "../../core/call-error.ts";
import type { Clock } from "../../core/clock.ts";
import type { SlotKey } from "../../core/container-task.ts";
import { containerViews } from "./container-view.ts";
import { Hold, isHold, worn, type Entry } from "./entry.ts";
import { Estimates } from "./estimates.ts";
import { Evictor } from "./evictor.ts";
import { Expectations } from "./expectations.ts";
import { Freezer, type ThawTicket } from "./freezer.ts";
import { IdleContainers } from "./idle-containers.ts";
import { Minimums } from "./minimums.ts";
import { refused } from "./refusals.ts";
import type { Resources } from "./resources.ts";
import { slotLoad, type SlotLoad } from "./slot-load.ts";
import type { SlotQueue } from "./slot-queue.ts";
import { SlotQueues } from "./slot-queues.ts";
import type {
  Acquired,
  LaunchTicket,
  RemovalReason,
  Slot,
  SlotEffects,
  SlotLimits,
  SlotRequest,
  SlotWaiter,
} from "./slot.ts";
import { Starts } from "./starts.ts";
import { WaitingRoom } from "./waiting-room.ts";

/**
 * Who runs where: hands out slots, and decides which containers to start, to evict and to let go. A call waits here
 * for a container that is started for it, or for a slot that is expected back sooner. Owns no timer and does no I/O.
 */
export class SlotTable<C> {
  readonly #resources: Resources;
  readonly #effects: SlotEffects<C>;
  readonly #clock: Clock;
  readonly #queues: SlotQueues<C>;
  readonly #entries = new Map<C, Entry<C>>();
  readonly #estimates = new Estimates();
  readonly #minimums: Minimums<C>;
  readonly #idle: IdleContainers<C>;
  readonly #evictor: Evictor<C>;
  readonly #starts: Starts<C>;
  readonly #waitingRoom: WaitingRoom<C>;
  readonly #freezer: Freezer<C>;
  #held = 0;
  #closed = false;
  readonly containers = () => containerViews(this.#starts, this.#entries.values());

  constructor(resources: Resources, effects: SlotEffects<C>, clock: Clock, limits: SlotLimits) {
    this.#resources = resources;
    this.#effects = effects;
    this.#clock = clock;
    const { startsAtOnce, freezeIdleMs } = limits;
    const minimums = new Minimums<C>(clock, () => this.#idle.minimumsFell());
    const queues = new SlotQueues(this.#estimates, minimums, clock);
    const idle = new IdleContainers(minimums, clock, (entry) => this.#remove(entry, "idle"));
    const evictor = new Evictor({ resources, idle, minimums, evict: (entry) => this.#remove(entry, "evicted") });
    const spares = (queue: SlotQueue<C>) => this.#waitingRoom.spares(queue);
    const starts = new Starts({ resources, evictor, effects, startsAtOnce, queues, minimums, spares, clock });
    const expectations = new Expectations(this.#estimates, starts, limits);
    this.#waitingRoom = new WaitingRoom({ ...limits, resources, starts, expectations, queues, clock });
    this.#freezer = new Freezer({ freezeIdleMs, effects, clock });
    [this.#queues, this.#idle, this.#minimums, this.#evictor, this.#starts] = [queues, idle, minimums, evictor, starts];
  }

  /** Containers that exist or are being started. */
  get size(): number {
    return this.#entries.size + this.#starts.size;
  }

  /** Keys that something is known of. */
  get keys(): number {
    return this.#queues.size;
  }

  /** What gateways are told. */
  get load(): SlotLoad {
    return slotLoad(this.#queues, this.#idle, { starting: this.#starts.size, running: this.#held });
  }

  acquire(request: SlotRequest, waiter: SlotWaiter<C>): Acquired<C> {
    if (this.#closed) return refused(new CallError("shutting_down"));
    const queue = this.#queues.called(request);
    const acquired = this.#seek(queue, request, waiter);
    if (acquired.kind === "refused") this.#queues.forgetUnused(queue);
    else this.#topUp(queue);
    return acquired;
  }

  /** The call no longer waits. A container that was started or thawed for it is kept for the next. */
  leave(key: SlotKey, waiter: SlotWaiter<C>): void {
    const queue = this.#queues.get(key);
    if (queue === undefined) return;
    const thawing = this.#freezer.leave(waiter);
    if (thawing !== undefined) {
      thawing.served -= 1;
      return this.#vacate(thawing);
    }
    if (!queue.waiting.leave(waiter)) return;
    this.#starts.dropUnwanted(queue);
    this.#queues.forgetUnused(queue);
  }

  /** The image of a container to be started is there. */
  prepared(ticket: LaunchTicket): void {
    this.#starts.prepared(ticket);
  }

  launched(ticket: LaunchTicket, container: C): void {
    const start = this.#starts.end(ticket);
    if (start === undefined) return;
    const { queue, request, since } = start;
    this.#estimates.started(queue.estimate, this.#clock.now() - since);
    const fresh = { state: "running", ice: "none", freezable: true, calls: 0, served: 0, broken: false } as const;
    const entry: Entry<C> = { container, request, queue, idleSince: 0, idleSeat: undefined, ...fresh };
    this.#entries.set(container, entry);
    queue.entries.add(entry);
    this.#serve(entry);
    this.#starts.advance();
  }

  /** Nothing is left of the start. Whoever has no container to wait for any more hears why. */
  launchFailed(ticket: LaunchTicket, reason: CallError): void {
    const start = this.#starts.end(ticket);
    if (start === undefined) return;
    const { queue, request } = start;
    this.#resources.release(request.booking);
    this.#minimums.pause(queue);
    this.#waitingRoom.failed(queue, reason);
    this.#queues.forgetUnused(queue);
    this.#starts.unblock();
    this.#starts.advance();
    this.#effects.changed();
  }

  /** Gives the slot back after its call. A container that a call broke runs no other; its neighbours there go on. */
  release(slot: Slot<C>, broken: boolean): void {
    if (!isHold(slot) || slot.released) return;
    slot.released = true;
    this.#held -= 1;
    const { entry, source, since } = slot;
    entry.queue.holders.add(source, -1);
    entry.queue.estimate.run.add(this.#clock.now() - since);
    if (broken) entry.broken = true;
    this.#vacate(entry);
  }

  /** A freeze is over. Where it failed the container may be frozen all the same. */
  froze(container: C, ok: boolean): void {
    const entry = this.#entries.get(container);
    if (entry !== undefined) this.#freezer.froze(entry, ok);
  }

  /** A thaw is over. Where it failed nobody runs in the container, and its calls go on to another. */
  thawed(container: C, ok: boolean): void {
    const entry = this.#entries.get(container);
    if (entry?.state !== "thawing") return;
    const tickets = this.#freezer.endThaw(entry);
    if (!ok) {
      this.#remove(entry, "broken");
      for (const ticket of tickets) this.#seekAnother(ticket, entry.queue);
      return;
    }
    entry.ice = "none";
    entry.state = "running";
    for (const { waiter } of tickets) waiter.granted(this.#hold(entry, waiter));
    this.#serve(entry);
  }

  /** A container ended by itself: at once if idle, after its calls if busy. */
  died(container: C): void {
    const entry = this.#entries.get(container);
    if (entry === undefined || entry.state === "leaving") return;
    entry.broken = true;
    entry.queue.place(entry);
    this.#minimums.pause(entry.queue);
    if (entry.state === "thawing") this.thawed(container, false);
    else if (entry.calls === 0) this.#remove(entry, "broken");
  }

  /** Nothing is left of a container that was removed. */
  gone(container: C): void {
    const entry = this.#entries.get(container);
    if (entry === undefined) return;
    this.#entries.delete(container);
    this.#resources.release(entry.request.booking);
    this.#evictor.gone(entry);
    entry.queue.leaving -= 1;
    this.#queues.forgetUnused(entry.queue);
    this.#starts.unblock();
    this.#effects.changed();
  }

  /** There is trouble now: what waits for room would wait for a removal that does not come. */
  troubled(reason: CallError): void {
    for (const queue of this.#starts.dropBlocked()) {
      this.#waitingRoom.failed(queue, reason);
      this.#queues.forgetUnused(queue);
    }
  }

  /** Refuses from now on, and lets idle containers go; busy ones go when they are released. */
  close(): void {
    this.#closed = true;
    for (const part of [this.#idle, this.#freezer, this.#waitingRoom]) part.close();
    this.#minimums.clear();
    this.#starts.dropBlocked();
    for (const queue of this.#queues) {
      for (const { waiter } of queue.takeUnbacked()) waiter.failed(new CallError("shutting_down"));
      this.#starts.dropUnwanted(queue);
      this.#queues.forgetUnused(queue);
    }
    for (const entry of this.#idle) this.#remove(entry, "closing");
  }

  #seek(queue: SlotQueue<C>, request: SlotRequest, waiter: SlotWaiter<C>): Acquired<C> {
    const entry = queue.best;
    if (entry !== undefined) return this.#occupy(entry, { request, waiter });
    const acquired = this.#waitingRoom.enter(queue, request, waiter);
    if (acquired.kind !== "refused") this.#effects.changed();
    return acquired;
  }

  #occupy(entry: Entry<C>, ticket: ThawTicket<C>): Acquired<C> {
    entry.calls += 1;
    entry.served += 1;
    this.#idle.delete(entry);
    entry.queue.place(entry);
    this.#effects.changed();
    if (entry.ice === "none") return { kind: "slot", slot: this.#hold(entry, ticket.waiter) };
    this.#freezer.thaw(entry, ticket);
    return { kind: "soon" };
  }

  #hold(entry: Entry<C>, { source }: SlotWaiter<C>): Slot<C> {
    this.#held += 1;
    entry.queue.holders.add(source, 1);
    return new Hold(entry, source, this.#clock.now());
  }

  /** Starts what is missing of a minimum, where there is room for it. */
  #topUp(queue: SlotQueue<C>): void {
    while (this.#minimums.misses(queue) && this.#starts.begin(queue, { mayEvict: false, firm: true }));
  }

  /** A call that held a slot of it, or waited for its thaw, holds it no more. */
  #vacate(entry: Entry<C>): void {
    entry.calls -= 1;
    const why = entry.calls === 0 && entry.state === "running" ? worn(entry) : undefined;
    if (why === undefined) return this.#serve(entry);
    this.#remove(entry, why);
    if (this.#closed) return;
    this.#topUp(entry.queue);
    this.#waitingRoom.lost(entry.queue);
  }

  /** Gives its free slots to those that wait, and lets it rest if nobody does. */
  #serve(entry: Entry<C>): void {
    const { queue } = entry;
    queue.place(entry);
    for (let next = queue.next(entry); next !== undefined; next = queue.next(entry)) {
      const acquired = this.#occupy(entry, next);
      if (acquired.kind === "slot") next.waiter.granted(acquired.slot);
    }
    this.#starts.dropUnwanted(queue);
    if (entry.calls === 0 && entry.state === "running" && entry.idleSeat === undefined) this.#rest(entry);
  }

  #rest(entry: Entry<C>): void {
    if (this.#closed) return this.#remove(entry, "closing");
    this.#idle.add(entry);
    this.#freezer.rests(entry);
    // One that waits for room may take this one's.
    this.#starts.evictForFirst();
    this.#effects.changed();
  }

  #seekAnother({ request, waiter }: ThawTicket<C>, queue: SlotQueue<C>): void {
    if (this.#closed) return waiter.failed(new CallError("shutting_down"));
    const acquired = this.#seek(queue, request, waiter);
    if (acquired.kind === "slot") waiter.granted(acquired.slot);
    else if (acquired.kind === "waiting") waiter.waits();
    else if (acquired.kind === "refused") waiter.failed(acquired.reason);
  }

  #remove(entry: Entry<C>, why: RemovalReason): void {
    const { queue } = entry;
    entry.state = "leaving";
    for (const part of [this.#idle, this.#freezer]) part.forget(entry);
    queue.place(entry);
    queue.entries.delete(entry);
    queue.leaving += 1;
    this.#evictor.leaves(entry);
    this.#effects.remove(entry.container, why);
  }
}
