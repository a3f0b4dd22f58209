import { CallError } from "../../core/call-error.ts";
import type { Clock } from "../../core/clock.ts";
import type { SlotKey } from "../../core/container-task.ts";
import { Alarm } from "./alarm.ts";
import { loadOf, type Entry, type Load, type Queue, type ThawTicket } from "./entry.ts";
import { Freezer } from "./freezer.ts";
import { busy, refused, tooBig } from "./refusals.ts";
import { fits, minus, plus, type Resources } from "./resources.ts";
import type { Acquired, Booking, LaunchTicket, Slot, SlotEffects, SlotRequest, SlotWaiter } from "./slot.ts";
import { victims } from "./victims.ts";

/**
 * Who runs where: hands out idle containers, decides which to start, to evict and to let go.
 * A call waits here only if a container is started for it. Owns no timer and does no I/O.
 */
export class SlotTable<C> {
  readonly #resources: Resources;
  readonly #effects: SlotEffects<C>;
  readonly #clock: Clock;
  readonly #queues = new Map<SlotKey, Queue<C>>();
  readonly #entries = new Map<C, Entry<C>>();
  /** In the order they became idle, the oldest first. */
  readonly #idle = new Set<Entry<C>>();
  /** Starts that wait for containers to be gone, in their order: what those free is theirs. */
  #blocked: LaunchTicket[] = [];
  readonly #freezer: Freezer<C>;
  readonly #sweeps: Alarm;
  #closed = false;

  /** @param freezeIdleMs - how long a container is idle before it is frozen; negative never freezes */
  constructor(resources: Resources, effects: SlotEffects<C>, clock: Clock, freezeIdleMs: number) {
    this.#resources = resources;
    this.#effects = effects;
    this.#clock = clock;
    this.#sweeps = new Alarm(clock, () => this.#sweep());
    this.#freezer = new Freezer({ idle: this.#idle, freezeIdleMs, effects, clock });
  }

  /** Containers that exist or are being started. */
  get size(): number {
    let starting = 0;
    for (const queue of this.#queues.values()) starting += queue.starting;
    return this.#entries.size + starting;
  }

  /** Containers on their way, calls that wait, and calls that run. */
  get load(): Load {
    return loadOf(this.#queues.values(), this.#entries.values());
  }

  /** Keys that something is known of. */
  get keys(): number {
    return this.#queues.size;
  }

  /** Idle containers by affinity key. */
  get idleByAffinity(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const { request } of this.#idle) counts.set(request.affinityKey, (counts.get(request.affinityKey) ?? 0) + 1);
    return counts;
  }

  acquire(request: SlotRequest, waiter: SlotWaiter<C>): Acquired<C> {
    if (this.#closed) return refused(new CallError("shutting_down"));
    const warm = this.#queues.get(request.key)?.idle.pop();
    if (warm !== undefined) {
      this.#idle.delete(warm);
      this.#effects.changed();
      if (warm.ice !== "none") {
        this.#freezer.thaw(warm, { request, waiter });
        return { kind: "thawing" };
      }
      warm.state = "busy";
      return { kind: "slot", slot: warm };
    }
    const queue = this.#queues.get(request.key);
    if (queue !== undefined && queue.starting > queue.waiting.length) {
      // Its call got another's container meanwhile, so one that is on its way is nobody's.
      queue.waiting.push(waiter);
      return { kind: "waiting" };
    }
    const { booking } = request;
    if (!this.#resources.couldFit(booking)) return refused(tooBig(request, this.#resources));
    if (fits(booking, this.#unpromised()) && this.#resources.book(booking)) {
      this.#expect(request, waiter);
      this.#effects.launch({ request });
      this.#effects.changed();
      return { kind: "waiting" };
    }
    if (!this.#evictFor(booking, this.#blocked)) return refused(busy(request, this.#resources));
    this.#expect(request, waiter);
    this.#blocked.push({ request });
    return { kind: "waiting" };
  }

  /** The call no longer waits. A container that was started or thawed for it is kept for the next. */
  leave(key: SlotKey, waiter: SlotWaiter<C>): void {
    this.#freezer.leave(waiter);
    const queue = this.#queues.get(key);
    const at = queue?.waiting.indexOf(waiter) ?? -1;
    if (queue === undefined || at < 0) return;
    queue.waiting.splice(at, 1);
    this.#dropBlocked(key, queue);
  }

  launched({ request }: LaunchTicket, container: C): void {
    const queue = this.#queue(request.key);
    queue.starting -= 1;
    const running = { state: "busy", ice: "none", freezable: true, dead: false } as const;
    const entry: Entry<C> = { container, request, idleSince: 0, ...running };
    this.#entries.set(container, entry);
    this.#free(entry);
  }

  /** Nothing is left of the start. Whoever has no container to wait for any more hears why. */
  launchFailed({ request }: LaunchTicket, reason: CallError): void {
    const queue = this.#queue(request.key);
    queue.starting -= 1;
    this.#resources.release(request.booking);
    this.#failSurplus(queue, reason);
    this.#forget(request.key, queue);
    this.#unblock();
    this.#effects.changed();
  }

  /** Gives the slot back after its call. A broken container never runs another. */
  release(slot: Slot<C>, broken: boolean): void {
    const entry = this.#entries.get(slot.container);
    if (entry?.state !== "busy") return;
    if (broken || entry.dead) this.#remove(entry, "broken");
    else this.#free(entry);
  }

  /** A freeze is over. Where it failed the container may be frozen all the same. */
  froze(container: C, ok: boolean): void {
    const entry = this.#entries.get(container);
    if (entry !== undefined) this.#freezer.froze(entry, ok);
  }

  /** A thaw is over. Where it failed nobody runs in the container, and its call goes on to another. */
  thawed(container: C, ok: boolean): void {
    const entry = this.#entries.get(container);
    if (entry?.state !== "thawing") return;
    const ticket = this.#freezer.endThaw(entry);
    if (!ok) {
      this.#remove(entry, "broken");
      if (ticket !== undefined) this.#acquireAnother(ticket);
      return;
    }
    entry.ice = "none";
    entry.state = "busy";
    if (ticket === undefined) this.#free(entry);
    else ticket.waiter.granted(entry);
  }

  /** A container ended by itself: at once if idle, after its call if busy. */
  died(container: C): void {
    const entry = this.#entries.get(container);
    if (entry === undefined) return;
    entry.dead = true;
    if (entry.state === "idle") this.#remove(entry, "broken");
    else if (entry.state === "thawing") this.thawed(container, false);
  }

  /** Nothing is left of a container that was removed. */
  gone(container: C): void {
    const entry = this.#entries.get(container);
    if (entry === undefined) return;
    this.#entries.delete(container);
    this.#resources.release(entry.request.booking);
    this.#unblock();
    this.#effects.changed();
  }

  /** Refuses from now on, and lets idle containers go; busy ones go when they are released. */
  close(): void {
    this.#closed = true;
    this.#sweeps.off();
    this.#freezer.close();
    for (const { request } of this.#blocked.splice(0)) this.#queue(request.key).starting -= 1;
    for (const [key, queue] of this.#queues) {
      this.#failSurplus(queue, new CallError("shutting_down"));
      this.#forget(key, queue);
    }
    for (const entry of this.#idle) this.#remove(entry, "closing");
  }

  #queue(key: SlotKey): Queue<C> {
    let queue = this.#queues.get(key);
    if (queue === undefined) this.#queues.set(key, (queue = { idle: [], waiting: [], starting: 0 }));
    return queue;
  }

  #forget(key: SlotKey, queue: Queue<C>): void {
    const used = queue.idle.length > 0 || queue.waiting.length > 0 || queue.starting > 0;
    if (!used) this.#queues.delete(key);
  }

  #expect({ key }: SlotRequest, waiter: SlotWaiter<C>): void {
    const queue = this.#queue(key);
    queue.waiting.push(waiter);
    queue.starting += 1;
  }

  /** Calls for which no container is on its way any more, the longest waiting first. */
  #failSurplus(queue: Queue<C>, reason: CallError): void {
    while (queue.waiting.length > queue.starting) queue.waiting.shift()?.failed(reason);
  }

  /** Forgets starts that are not under way yet and that no call waits for any more. */
  #dropBlocked(key: SlotKey, queue: Queue<C>): void {
    while (queue.starting > queue.waiting.length) {
      const at = this.#blocked.findLastIndex(({ request }) => request.key === key);
      if (at < 0) break;
      this.#blocked.splice(at, 1);
      queue.starting -= 1;
    }
    this.#forget(key, queue);
  }

  #free(entry: Entry<C>): void {
    const { key, task } = entry.request;
    const queue = this.#queue(key);
    const next = queue.waiting.shift();
    if (next !== undefined) {
      this.#dropBlocked(key, queue);
      return next.granted(entry);
    }
    if (this.#closed || entry.dead) {
      this.#forget(key, queue);
      return this.#remove(entry, entry.dead ? "broken" : "closing");
    }
    entry.state = "idle";
    entry.idleSince = this.#clock.now();
    queue.idle.push(entry);
    this.#idle.add(entry);
    this.#sweeps.by(entry.idleSince + task.idleTimeoutMs);
    this.#freezer.rests(entry);
    // One that waits for room may take this one's.
    this.#evictForFirst();
    this.#effects.changed();
  }

  #acquireAnother({ request, waiter }: ThawTicket<C>): void {
    const acquired = this.acquire(request, waiter);
    if (acquired.kind === "slot") waiter.granted(acquired.slot);
    else if (acquired.kind === "waiting") waiter.waits();
    else if (acquired.kind === "refused") waiter.failed(acquired.reason);
  }

  #remove(entry: Entry<C>, why: "idle" | "evicted" | "broken" | "closing"): void {
    if (entry.state === "idle") {
      this.#idle.delete(entry);
      const { idle } = this.#queue(entry.request.key);
      idle.splice(idle.indexOf(entry), 1);
    }
    const queue = this.#queues.get(entry.request.key);
    if (queue !== undefined) this.#forget(entry.request.key, queue);
    entry.state = "leaving";
    this.#effects.remove(entry.container, why);
  }

  /** What is free and not promised to a start that waits for it. */
  #unpromised(): Booking {
    return this.#blocked.reduce((free, { request }) => minus(free, request.booking), this.#resources.free);
  }

  /** Oldest idle first, all or nothing; `ahead` are the starts whose room is not to be touched. */
  #evictFor(booking: Booking, ahead: readonly LaunchTicket[]): boolean {
    let room = ahead.reduce((free, { request }) => minus(free, request.booking), this.#resources.free);
    for (const entry of this.#entries.values()) {
      if (entry.state === "leaving") room = plus(room, entry.request.booking);
    }
    const leaving = victims(booking, room, this.#idle);
    for (const victim of leaving ?? []) this.#remove(victim, "evicted");
    return leaving !== undefined;
  }

  #evictForFirst(): void {
    const [first] = this.#blocked;
    if (first !== undefined) this.#evictFor(first.request.booking, []);
  }

  #unblock(): void {
    while (this.#blocked[0] !== undefined && this.#resources.book(this.#blocked[0].request.booking)) {
      const ticket = this.#blocked.shift();
      if (ticket !== undefined) this.#effects.launch(ticket);
    }
    this.#evictForFirst();
  }

  #sweep(): void {
    const now = this.#clock.now();
    for (const entry of this.#idle) {
      const until = entry.idleSince + entry.request.task.idleTimeoutMs;
      if (until <= now) this.#remove(entry, "idle");
      else this.#sweeps.by(until);
    }
  }
}
