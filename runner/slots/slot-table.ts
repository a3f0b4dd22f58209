import { CallError } from "../../core/call-error.ts";
import type { Clock } from "../../core/clock.ts";
import type { SlotKey } from "../../core/container-task.ts";
import { fits, type Resources } from "./resources.ts";
import type { Acquired, LaunchTicket, Slot, SlotEffects, SlotRequest, SlotWaiter } from "./slot.ts";

interface Entry<C> extends Slot<C> {
  state: "idle" | "busy" | "leaving";
  idleSince: number;
}

/** All slots of one key. */
interface Queue<C> {
  /** Last in, first out: the newest is the warmest, and the oldest may leave. */
  readonly idle: Entry<C>[];
  /** First come, first served. */
  readonly waiting: SlotWaiter<C>[];
  /** Containers on their way, blocked ones included. */
  starting: number;
}

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
  /** Tickets whose memory is still held by a container that was told to leave. */
  #blocked: LaunchTicket<C>[] = [];
  #sweepAt = Infinity;
  #cancelSweep: () => void = () => {};
  #closed = false;

  constructor(resources: Resources, effects: SlotEffects<C>, clock: Clock) {
    this.#resources = resources;
    this.#effects = effects;
    this.#clock = clock;
  }

  /** Containers that exist or are being started. */
  get size(): number {
    let starting = 0;
    for (const queue of this.#queues.values()) starting += queue.starting;
    return this.#entries.size + starting;
  }

  /** Idle containers by affinity key. */
  get idleByAffinity(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const { request } of this.#idle) counts[request.affinityKey] = (counts[request.affinityKey] ?? 0) + 1;
    return counts;
  }

  acquire(request: SlotRequest, waiter: SlotWaiter<C>): Acquired<C> {
    if (this.#closed) return refused(new CallError("shutting_down"));
    const queue = this.#queue(request.key);
    const warm = queue.idle.pop();
    if (warm !== undefined) {
      this.#idle.delete(warm);
      warm.state = "busy";
      this.#effects.changed();
      return { kind: "slot", slot: warm };
    }
    if (!this.#resources.couldFit(request.booking)) return refused(tooBig(request, this.#resources));
    const ticket = { request, waiter };
    if (this.#resources.book(request.booking)) {
      this.#expect(queue, ticket);
      this.#effects.launch(ticket);
      this.#effects.changed();
      return { kind: "waiting" };
    }
    if (!this.#evictFor(request)) return refused(busy(request, this.#resources));
    this.#expect(queue, ticket);
    this.#blocked.push(ticket);
    return { kind: "waiting" };
  }

  /** The call no longer waits. A container that was started for it is kept for the next. */
  leave(key: SlotKey, waiter: SlotWaiter<C>): void {
    const queue = this.#queues.get(key);
    if (queue === undefined) return;
    const at = queue.waiting.indexOf(waiter);
    if (at >= 0) queue.waiting.splice(at, 1);
    const blocked = this.#blocked.find((ticket) => ticket.waiter === waiter);
    if (blocked === undefined) return;
    this.#blocked = this.#blocked.filter((ticket) => ticket !== blocked);
    queue.starting -= 1;
    this.#forget(key, queue);
  }

  launched({ request }: LaunchTicket<C>, container: C): void {
    const queue = this.#queue(request.key);
    queue.starting -= 1;
    const entry: Entry<C> = { container, request, state: "busy", idleSince: 0 };
    this.#entries.set(container, entry);
    this.#free(entry, queue);
  }

  /** Nothing is left of the start. Whoever has no container to wait for any more hears why. */
  launchFailed({ request, waiter }: LaunchTicket<C>, reason: CallError): void {
    const queue = this.#queue(request.key);
    queue.starting -= 1;
    this.#resources.release(request.booking);
    if (queue.waiting.length > queue.starting) {
      const at = Math.max(0, queue.waiting.indexOf(waiter));
      queue.waiting.splice(at, 1)[0]?.failed(reason);
    }
    this.#forget(request.key, queue);
    this.#unblock();
    this.#effects.changed();
  }

  /** Gives the slot back after its call. A broken container never runs another. */
  release(slot: Slot<C>, broken: boolean): void {
    const entry = this.#entries.get(slot.container);
    if (entry?.state !== "busy") return;
    if (broken || this.#closed) return this.#remove(entry, broken ? "broken" : "closing");
    this.#free(entry, this.#queue(entry.request.key));
  }

  /** An idle container ended by itself. */
  died(container: C): void {
    const entry = this.#entries.get(container);
    if (entry?.state === "idle") this.#remove(entry, "broken");
  }

  /** Nothing is left of a container that was removed. */
  gone(container: C): void {
    const entry = this.#entries.get(container);
    if (entry === undefined) return;
    this.#entries.delete(container);
    this.#resources.release(entry.request.booking);
    const queue = this.#queues.get(entry.request.key);
    if (queue !== undefined) this.#forget(entry.request.key, queue);
    this.#unblock();
    this.#effects.changed();
  }

  /** Refuses from now on, and lets idle containers go; busy ones go when they are released. */
  close(): void {
    this.#closed = true;
    this.#cancelSweep();
    for (const ticket of this.#blocked.splice(0)) {
      this.#queue(ticket.request.key).starting -= 1;
      ticket.waiter.failed(new CallError("shutting_down"));
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

  #expect(queue: Queue<C>, ticket: LaunchTicket<C>): void {
    queue.waiting.push(ticket.waiter);
    queue.starting += 1;
  }

  #free(entry: Entry<C>, queue: Queue<C>): void {
    const next = queue.waiting.shift();
    if (next !== undefined) return next.granted(entry);
    if (this.#closed) return this.#remove(entry, "closing");
    entry.state = "idle";
    entry.idleSince = this.#clock.now();
    queue.idle.push(entry);
    this.#idle.add(entry);
    this.#sweepBy(entry.idleSince + entry.request.task.idleTimeoutMs);
    this.#effects.changed();
  }

  #remove(entry: Entry<C>, why: "idle" | "evicted" | "broken" | "closing"): void {
    if (entry.state === "idle") {
      this.#idle.delete(entry);
      const queue = this.#queue(entry.request.key);
      queue.idle.splice(queue.idle.indexOf(entry), 1);
      this.#forget(entry.request.key, queue);
    }
    entry.state = "leaving";
    this.#effects.remove(entry.container, why);
  }

  /** Oldest idle first, all or nothing. The caller's own queue has none idle, or it would not ask. */
  #evictFor({ booking }: SlotRequest): boolean {
    let { memoryMiB, cpuMillis } = this.#resources.free;
    // What is leaving already is promised to those who wait for it.
    for (const { request } of this.#blocked) {
      memoryMiB -= request.booking.memoryMiB;
      cpuMillis -= request.booking.cpuMillis;
    }
    for (const entry of this.#entries.values()) {
      if (entry.state !== "leaving") continue;
      memoryMiB += entry.request.booking.memoryMiB;
      cpuMillis += entry.request.booking.cpuMillis;
    }
    const victims: Entry<C>[] = [];
    for (const entry of this.#idle) {
      if (fits(booking, { memoryMiB, cpuMillis })) break;
      victims.push(entry);
      memoryMiB += entry.request.booking.memoryMiB;
      cpuMillis += entry.request.booking.cpuMillis;
    }
    if (!fits(booking, { memoryMiB, cpuMillis })) return false;
    for (const victim of victims) this.#remove(victim, "evicted");
    return true;
  }

  #unblock(): void {
    while (this.#blocked[0] !== undefined && this.#resources.book(this.#blocked[0].request.booking)) {
      const ticket = this.#blocked.shift();
      if (ticket !== undefined) this.#effects.launch(ticket);
    }
  }

  #sweepBy(when: number): void {
    if (when >= this.#sweepAt) return;
    this.#cancelSweep();
    this.#sweepAt = when;
    this.#cancelSweep = this.#clock.after(when - this.#clock.now(), () => this.#sweep());
  }

  #sweep(): void {
    this.#sweepAt = Infinity;
    const now = this.#clock.now();
    for (const entry of this.#idle) {
      const until = entry.idleSince + entry.request.task.idleTimeoutMs;
      if (until <= now) this.#remove(entry, "idle");
      else this.#sweepBy(until);
    }
  }
}

function refused<C>(reason: CallError): Acquired<C> {
  return { kind: "refused", reason, scope: "this_runner" };
}

function tooBig({ booking }: SlotRequest, { total }: Resources): CallError {
  return new CallError(
    "resource_too_big",
    `Requested CPU/Memory cannot be allocated: it needs ${booking.memoryMiB} MiB and ${booking.cpuMillis} mCPU, ` +
      `the runner has ${total.memoryMiB} MiB and ${total.cpuMillis} mCPU`,
  );
}

function busy({ booking }: SlotRequest, { free }: Resources): CallError {
  return new CallError(
    "server_busy",
    `Timed out - server too busy: a container needs ${booking.memoryMiB} MiB and ${booking.cpuMillis} mCPU, ` +
      `free are ${free.memoryMiB} MiB and ${free.cpuMillis} mCPU`,
  );
}
