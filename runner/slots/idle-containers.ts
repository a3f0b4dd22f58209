import type { Clock } from "../../core/clock.ts";
import { Roster } from "../../core/roster.ts";
import { Alarm } from "./alarm.ts";
import { DueItems } from "./due-items.ts";
import type { Entry } from "./entry.ts";
import type { Minimums } from "./minimums.ts";

/** Idle containers in the order they became idle, the oldest first. Those that rest too long are let go. */
export class IdleContainers<C> implements Iterable<Entry<C>> {
  readonly #entries = new Roster<Entry<C>>();
  readonly #counts = new Map<string, number>();
  /** When each may have rested for too long. */
  readonly #ends = new DueItems<Entry<C>>();
  /** Those that did, and are kept as a minimum. */
  readonly #kept = new Set<Entry<C>>();
  readonly #minimums: Minimums<C>;
  readonly #clock: Clock;
  readonly #letGo: (entry: Entry<C>) => void;
  readonly #alarm: Alarm;

  constructor(minimums: Minimums<C>, clock: Clock, letGo: (entry: Entry<C>) => void) {
    this.#minimums = minimums;
    this.#clock = clock;
    this.#letGo = letGo;
    this.#alarm = new Alarm(clock, () => this.#sweep());
  }

  [Symbol.iterator](): Iterator<Entry<C>> {
    return this.#entries[Symbol.iterator]();
  }

  /** By affinity key; of those that have containers, though none is idle, there is a 0. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  add(entry: Entry<C>): void {
    entry.idleSince = this.#clock.now();
    entry.idleSeat = this.#entries.add(entry);
    this.#count(entry, 1);
    this.#endsBy(entry, this.#endOf(entry));
  }

  delete(entry: Entry<C>): void {
    if (entry.idleSeat === undefined) return;
    this.#entries.remove(entry.idleSeat);
    entry.idleSeat = undefined;
    this.#kept.delete(entry);
    this.#count(entry, -1);
  }

  /** A container leaves. */
  forget(entry: Entry<C>): void {
    this.delete(entry);
    this.#ends.delete(entry);
    const { affinityKey } = entry.request;
    if (this.#counts.get(affinityKey) === 0) this.#counts.delete(affinityKey);
  }

  /** Fewer are kept than before. */
  minimumsFell(): void {
    for (const entry of this.#kept) this.#endsBy(entry, this.#endOf(entry));
  }

  close(): void {
    this.#alarm.off();
  }

  #count({ request: { affinityKey } }: Entry<C>, by: number): void {
    this.#counts.set(affinityKey, (this.#counts.get(affinityKey) ?? 0) + by);
  }

  #endOf({ idleSince, request }: Entry<C>): number {
    return idleSince + request.task.idleTimeoutMs;
  }

  #endsBy(entry: Entry<C>, at: number): void {
    this.#ends.add(entry, at);
    this.#alarm.by(this.#ends.first);
  }

  #sweep(): void {
    const now = this.#clock.now();
    for (const entry of this.#ends.take(now)) {
      if (entry.idleSeat === undefined) continue;
      const { queue } = entry;
      const until = this.#endOf(entry);
      if (until > now) this.#ends.add(entry, until);
      else if (queue.entries.size > this.#minimums.of(queue)) this.#letGo(entry);
      else this.#kept.add(entry);
    }
    this.#alarm.by(this.#ends.first);
  }
}
