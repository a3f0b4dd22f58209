import type { Clock } from "../../core/clock.ts";
import { Alarm } from "./alarm.ts";
import type { Entry } from "./entry.ts";
import type { Minimums } from "./minimums.ts";

/** Idle containers in the order they became idle, the oldest first. Those that rest too long are let go. */
export class IdleContainers<C> implements Iterable<Entry<C>> {
  readonly #entries = new Set<Entry<C>>();
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
    const counts = new Map<string, number>();
    for (const { request } of this.#entries)
      counts.set(request.affinityKey, (counts.get(request.affinityKey) ?? 0) + 1);
    return counts;
  }

  has(entry: Entry<C>): boolean {
    return this.#entries.has(entry);
  }

  add(entry: Entry<C>): void {
    entry.idleSince = this.#clock.now();
    this.#entries.add(entry);
    this.#alarm.by(entry.idleSince + entry.request.task.idleTimeoutMs);
  }

  delete(entry: Entry<C>): void {
    this.#entries.delete(entry);
  }

  /** Fewer are kept than before. */
  minimumsFell(): void {
    this.#alarm.by(this.#clock.now());
  }

  close(): void {
    this.#alarm.off();
  }

  #sweep(): void {
    const now = this.#clock.now();
    for (const entry of this.#entries) {
      const { queue, request, idleSince } = entry;
      const until = idleSince + request.task.idleTimeoutMs;
      if (until > now) this.#alarm.by(until);
      else if (queue.entries.size > this.#minimums.of(queue)) this.#letGo(entry);
    }
  }
}
