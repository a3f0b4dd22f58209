import type { Clock } from "../../core/clock.ts";
import { Alarm } from "./alarm.ts";
import { DueItems } from "./due-items.ts";
import type { Entry } from "./entry.ts";
import type { SlotEffects, SlotRequest, SlotWaiter } from "./slot.ts";

export interface FreezerOptions<C> {
  /** How long a container is idle before it is frozen; 0 freezes at once, negative never. */
  readonly freezeIdleMs: number;
  readonly effects: Pick<SlotEffects<C>, "freeze" | "thaw">;
  readonly clock: Clock;
}

/** A call whose container thaws. */
export interface ThawTicket<C> {
  readonly request: SlotRequest;
  readonly waiter: SlotWaiter<C>;
}

/** A function is quiet once so many of its usual pauses have passed without a call. */
const QUIET_GAPS = 4;
/** Then, or after this: a container that rests longer had better not be able to burn CPU. */
const LONGEST_QUIET_MS = 1_000;

/**
 * Which idle containers freeze, and for which calls they thaw: one thing at a time for each of them. One whose function
 * is called all the time is not frozen between two calls.
 */
export class Freezer<C> {
  readonly #options: FreezerOptions<C>;
  readonly #alarm: Alarm;
  /** Containers that were idle when they were last looked at. */
  readonly #resting = new DueItems<Entry<C>>();
  /** Calls whose container is thawed for them. Those that have left meanwhile are not here. */
  readonly #thawing = new Map<Entry<C>, ThawTicket<C>[]>();

  constructor(options: FreezerOptions<C>) {
    this.#options = options;
    this.#alarm = new Alarm(options.clock, () => this.#freezeIdle());
  }

  /** A container has become idle. */
  rests(entry: Entry<C>): void {
    if (entry.freezable && this.#options.freezeIdleMs >= 0) this.#lookAt(entry, this.#freezeAt(entry));
  }

  /** A container leaves. */
  forget(entry: Entry<C>): void {
    this.#resting.delete(entry);
  }

  froze(entry: Entry<C>, ok: boolean): void {
    if (entry.ice !== "freezing") return;
    entry.ice = "frozen";
    entry.freezable = ok;
    if (entry.state === "thawing") this.#options.effects.thaw(entry.container);
  }

  /** Thaws it for a call, or for one more if it thaws already. */
  thaw(entry: Entry<C>, ticket: ThawTicket<C>): void {
    const tickets = this.#thawing.get(entry);
    if (tickets !== undefined) return void tickets.push(ticket);
    entry.state = "thawing";
    this.#thawing.set(entry, [ticket]);
    // One that is being frozen is thawed when that is over.
    if (entry.ice === "frozen") this.#options.effects.thaw(entry.container);
  }

  /** Ends a thaw, well or not, with the calls that it was for. */
  endThaw(entry: Entry<C>): readonly ThawTicket<C>[] {
    const tickets = this.#thawing.get(entry) ?? [];
    this.#thawing.delete(entry);
    return tickets;
  }

  /** The container that was thawed for a call that has left, if one was. */
  leave(waiter: SlotWaiter<C>): Entry<C> | undefined {
    for (const [entry, tickets] of this.#thawing) {
      const at = tickets.findIndex((ticket) => ticket.waiter === waiter);
      if (at < 0) continue;
      tickets.splice(at, 1);
      return entry;
    }
    return undefined;
  }

  /** Freezes nothing any more. */
  close(): void {
    this.#alarm.off();
  }

  #freezeAt({ idleSince, queue }: Entry<C>): number {
    const { freezeIdleMs } = this.#options;
    if (freezeIdleMs === 0) return idleSince;
    const quietMs = Math.min(QUIET_GAPS * (queue.estimate.gap.value ?? 0), LONGEST_QUIET_MS);
    return idleSince + Math.max(freezeIdleMs, quietMs);
  }

  #lookAt(entry: Entry<C>, at: number): void {
    this.#resting.add(entry, at);
    this.#alarm.by(this.#resting.first);
  }

  #freezeIdle(): void {
    const { effects, clock } = this.#options;
    const now = clock.now();
    for (const entry of this.#resting.take(now)) {
      if (entry.idleSeat === undefined || entry.ice !== "none" || !entry.freezable) continue;
      const at = this.#freezeAt(entry);
      if (at > now) this.#lookAt(entry, at);
      else {
        entry.ice = "freezing";
        effects.freeze(entry.container);
      }
    }
    this.#alarm.by(this.#resting.first);
  }
}
