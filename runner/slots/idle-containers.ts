import type { Clock } from "../../core/clock.ts";
import { Alarm } from "./alarm.ts";
import { DueItems } from "./due-items.ts";
import type { Entry } from "./entry.ts";
import type { Minimums } from "./minimums.ts";

/** Idle containers in the order they became idle, the oldest first. Those that rest too long are let go. */
export class IdleContainers<C> implements Iterable<Entry<C>> {
  readonly #entries = new Set<Entry<C>>();
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

  /** By affinity key. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  has(entry: Entry<C>): boolean {
    return this.#entries.has(entry);
  }

  add(entry: Entry<C>): void {
    entry.idleSince = this.#clock.now();
    this.#entries.add(entry);
    this.#count(entry, 1);
    this.#endsBy(entry, this.#endOf(entry));
  }

  delete(entry: Entry<C>): void {
    if (!this.#entries.delete(entry)) return;
    this.#kept.delete(entry);
    this.#count(entry, -1);
  }

  /** A container leaves. */
  forget(entry: Entry<C>): void {
    this.delete(entry);
    this.#ends.delete(entry);
  }

  /** Fewer are kept than before. */
  minimumsFell(): void {
    for (const entry of this.#kept) this.#endsBy(entry, this.#endOf(entry));
  }

  close(): void {
    this.#alarm.off();
  }

  #count({ request: { affinityKey } }: Entry<C>, by: number): void {
    const count = (this.#counts.get(affinityKey) ?? 0) + by;
    if (count === 0) this.#counts.delete(affinityKey);
    else this.#counts.set(affinityKey, count);
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
      if (!this.#entries.has(entry)) continue;
      const { queue } = entry;
      const until = this.#endOf(entry);
      if (until > now) this.#ends.add(entry, until);
      else if (queue.entries.size > this.#minimums.of(queue)) this.#letGo(entry);
      else this.#kept.add(entry);
    }
    this.#alarm.by(this.#ends.first);
  }
}
