import type { Clock } from "../../../../core/clock.ts";
import type { Log } from "../../../../core/log.ts";
import type { NetworkTrouble } from "./network-trouble.ts";

/** How long a network that had no place comes after the others. */
const LEFT_OUT_MS = 10_000;

/** The networks of containers that join no holder's: in turn, those in trouble last. No I/O and no timer. */
export class PlainNetworks {
  readonly #names: readonly string[];
  readonly #clock: Clock;
  readonly #log: Log;
  /** Until when each comes last. */
  readonly #leftOut = new Map<string, number>();
  #turn = 0;

  constructor(names: readonly string[], clock: Clock, log: Log) {
    this.#names = [...new Set(names)];
    this.#clock = clock;
    this.#log = log;
  }

  /** The one for the next container; empty where there is none to choose from. */
  next(): string {
    const name = this.#names[this.#turn % this.#names.length] ?? "";
    this.#turn += 1;
    return this.inOrder(name)[0] ?? name;
  }

  /** Where a container may go that was to go to this one: first there, unless it is in trouble. */
  inOrder(first: string): readonly string[] {
    const at = this.#names.indexOf(first);
    if (at < 0) return [first];
    const ring = [...this.#names.slice(at), ...this.#names.slice(0, at)];
    return [...ring.filter((name) => !this.#isLeftOut(name)), ...ring.filter((name) => this.#isLeftOut(name))];
  }

  failed(name: string, trouble: NetworkTrouble): void {
    if (!this.#leftOut.has(name)) this.#log.warn(`Containers leave out a network: it is ${trouble}`, { network: name });
    this.#leftOut.set(name, this.#clock.now() + LEFT_OUT_MS);
  }

  worked(name: string): void {
    if (this.#leftOut.delete(name)) this.#log.info("Containers use a network again", { network: name });
  }

  #isLeftOut(name: string): boolean {
    return this.#clock.now() < (this.#leftOut.get(name) ?? -Infinity);
  }
}
