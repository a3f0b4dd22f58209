import type { Clock } from "../../core/clock.ts";
import { Alarm } from "./alarm.ts";
import type { Entry, ThawTicket } from "./entry.ts";
import type { SlotEffects, SlotWaiter } from "./slot.ts";

export interface FreezerOptions<C> {
  /** In the order they became idle, the oldest first. */
  readonly idle: Iterable<Entry<C>>;
  /** How long a container is idle before it is frozen; negative never freezes. */
  readonly freezeIdleMs: number;
  readonly effects: Pick<SlotEffects<C>, "freeze" | "thaw">;
  readonly clock: Clock;
}

/** Which idle containers freeze, and for which calls they thaw: one thing at a time for each of them. */
export class Freezer<C> {
  readonly #options: FreezerOptions<C>;
  readonly #alarm: Alarm;
  /** Containers that are thawed for a call. Without an entry here, the call has left meanwhile. */
  readonly #thawing = new Map<Entry<C>, ThawTicket<C>>();

  constructor(options: FreezerOptions<C>) {
    this.#options = options;
    this.#alarm = new Alarm(options.clock, () => this.#freezeIdle());
  }

  /** A container has become idle. */
  rests({ freezable, idleSince }: Entry<C>): void {
    const { freezeIdleMs } = this.#options;
    if (freezable && freezeIdleMs >= 0) this.#alarm.by(idleSince + freezeIdleMs);
  }

  froze(entry: Entry<C>, ok: boolean): void {
    if (entry.ice !== "freezing") return;
    entry.ice = "frozen";
    entry.freezable = ok;
    if (entry.state === "thawing") this.#options.effects.thaw(entry.container);
  }

  thaw(entry: Entry<C>, ticket: ThawTicket<C>): void {
    entry.state = "thawing";
    this.#thawing.set(entry, ticket);
    // One that is being frozen is thawed when that is over.
    if (entry.ice === "frozen") this.#options.effects.thaw(entry.container);
  }

  /** Ends a thaw, well or not, with the call that it was for. */
  endThaw(entry: Entry<C>): ThawTicket<C> | undefined {
    const ticket = this.#thawing.get(entry);
    this.#thawing.delete(entry);
    return ticket;
  }

  leave(waiter: SlotWaiter<C>): void {
    for (const [entry, ticket] of this.#thawing) if (ticket.waiter === waiter) this.#thawing.delete(entry);
  }

  /** Freezes nothing any more. */
  close(): void {
    this.#alarm.off();
  }

  #freezeIdle(): void {
    const { idle, freezeIdleMs, effects, clock } = this.#options;
    for (const entry of idle) {
      if (entry.ice !== "none" || !entry.freezable) continue;
      const at = entry.idleSince + freezeIdleMs;
      // Those after it are idle for a shorter time.
      if (at > clock.now()) return this.#alarm.by(at);
      entry.ice = "freezing";
      effects.freeze(entry.container);
    }
  }
}
