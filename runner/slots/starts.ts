import type { CallError } from "../../core/call-error.ts";
import type { Clock } from "../../core/clock.ts";
import type { Evictor } from "./evictor.ts";
import type { Minimums } from "./minimums.ts";
import { fits, minus, NOTHING, plus, type Resources } from "./resources.ts";
import type { SlotQueue } from "./slot-queue.ts";
import type { SlotQueues } from "./slot-queues.ts";
import type { Booking, LaunchTicket, SlotEffects } from "./slot.ts";
import { Turns } from "./turns.ts";

/** A container on its way. All but a blocked one have booked. */
export interface Start<C> extends LaunchTicket {
  readonly queue: SlotQueue<C>;
  /** Blocked: waits for containers to be gone. Queued: its image is there, and it waits for its turn. */
  phase: "blocked" | "preparing" | "queued" | "starting";
  /** When its turn came. */
  since: number;
  /** A slot was waited for in vain: it is started whatever is expected now. */
  readonly firm: boolean;
}

export interface StartsOptions<C> {
  readonly resources: Resources;
  readonly evictor: Evictor<C>;
  readonly effects: Pick<SlotEffects<C>, "prepare" | "start" | "drop" | "trouble">;
  readonly startsAtOnce: number;
  readonly queues: SlotQueues<C>;
  readonly minimums: Minimums<C>;
  /** Whether the calls of a queue do as well without a start of theirs, by what is known now. */
  readonly spares: (queue: SlotQueue<C>) => boolean;
  readonly clock: Clock;
}

/** Containers on their way, from the room they need to the function that listens. */
export class Starts<C> {
  readonly #options: StartsOptions<C>;
  readonly #all = new Map<LaunchTicket, Start<C>>();
  readonly #turns: Turns<Start<C>>;
  /** In their order: what leaving containers free is theirs. */
  #blocked: Start<C>[] = [];

  constructor(options: StartsOptions<C>) {
    this.#options = options;
    this.#turns = new Turns(options.startsAtOnce);
  }

  get size(): number {
    return this.#all.size;
  }

  /** Why none can be started just now, wherever there is room. */
  get trouble(): CallError | undefined {
    return this.#options.effects.trouble?.();
  }

  [Symbol.iterator](): Iterator<Start<C>> {
    return this.#all.values();
  }

  /** Starts one in the room there is, or in that of idle containers. False: there is neither, or trouble. */
  begin(queue: SlotQueue<C>, { mayEvict, firm }: { readonly mayEvict: boolean; readonly firm: boolean }): boolean {
    if (this.trouble !== undefined) return false;
    const request = queue.latest;
    const { resources, evictor, effects } = this.#options;
    const { booking, key } = request;
    const promised = this.#promised();
    const booked = fits(booking, minus(resources.free, promised)) && resources.book(booking);
    if (!booked && !(mayEvict && evictor.makeRoom(booking, promised, key))) return false;
    const start: Start<C> = { request, queue, phase: booked ? "preparing" : "blocked", since: 0, firm };
    this.#all.set(start, start);
    queue.starts.add(start);
    if (booked) effects.prepare(start);
    else this.#blocked.push(start);
    return true;
  }

  /** Its image is there. */
  prepared(ticket: LaunchTicket): void {
    const start = this.#all.get(ticket);
    if (start?.phase !== "preparing") return;
    start.phase = "queued";
    this.#turns.enter(start.request.task.fnId, start);
    this.advance();
  }

  /** It is over, well or not. What it booked is its container's, or to be given back. */
  end(ticket: LaunchTicket): Start<C> | undefined {
    const start = this.#all.get(ticket);
    if (start === undefined) return undefined;
    this.#all.delete(start);
    start.queue.starts.delete(start);
    this.#turns.leave(start.request.task.fnId, start);
    return start;
  }

  /** Lets those begin whose turn it is. */
  advance(): void {
    const { effects, clock, spares } = this.#options;
    for (let start = this.#turns.next(); start !== undefined; start = this.#turns.next()) {
      if (!this.#wanted(start.queue) || (!start.firm && spares(start.queue))) {
        this.#drop(start);
        continue;
      }
      start.phase = "starting";
      start.since = clock.now();
      effects.start(start);
    }
  }

  /** Forgets starts of a queue that are not under way and that nobody would miss. */
  dropUnwanted(queue: SlotQueue<C>): void {
    while (queue.starts.size > 0 && !this.#wanted(queue)) {
      const last = [...queue.starts].findLast(({ phase }) => phase === "blocked" || phase === "queued");
      if (last === undefined) return;
      this.#drop(last);
    }
  }

  /** Something is gone, and those that wait for its room may book it. */
  unblock(): void {
    const { resources, effects } = this.#options;
    for (let first = this.#blocked[0]; first !== undefined; first = this.#blocked[0]) {
      if (!resources.book(first.request.booking)) break;
      this.#blocked.shift();
      first.phase = "preparing";
      effects.prepare(first);
    }
    this.evictForFirst();
  }

  /** Something has become idle, and the one that waits longest for room may need it. */
  evictForFirst(): void {
    const [first] = this.#blocked;
    if (first !== undefined) this.#options.evictor.makeRoom(first.request.booking, NOTHING, first.request.key);
  }

  /** No container is removed for these starts any more. @returns whose they were */
  dropBlocked(): readonly SlotQueue<C>[] {
    const dropped = this.#blocked.splice(0);
    for (const start of dropped) this.end(start);
    return dropped.map(({ queue }) => queue);
  }

  #drop(start: Start<C>): void {
    const { resources, effects } = this.#options;
    this.end(start);
    if (start.phase === "blocked") this.#blocked = this.#blocked.filter((other) => other !== start);
    else {
      effects.drop(start);
      resources.release(start.request.booking);
    }
    this.#options.queues.forgetUnused(start.queue);
    this.unblock();
  }

  /** Whether a start less would be one too few. */
  #wanted(queue: SlotQueue<C>): boolean {
    return queue.missesStart(this.#options.minimums.of(queue));
  }

  #promised(): Booking {
    return this.#blocked.reduce((sum, { request }) => plus(sum, request.booking), NOTHING);
  }
}
