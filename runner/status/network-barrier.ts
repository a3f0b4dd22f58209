import { lstat } from "node:fs/promises";

import type { Clock } from "../../core/clock.ts";

/** A look at a file takes no time, or for ever: where its file system hangs. */
const LOOK_MS = 2_000;

/**
 * Looks whether a file is there. A look that hangs counts as no, and there is never a second one beside it: each holds
 * one of the few threads that all files are read with.
 */
export class NetworkBarrier {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #look: (path: string) => Promise<unknown>;
  #looking: Promise<boolean> | undefined;

  constructor(path: string, clock: Clock, look: (path: string) => Promise<unknown> = lstat) {
    this.#path = path;
    this.#clock = clock;
    this.#look = look;
  }

  async isThere(): Promise<boolean> {
    this.#looking ??= this.#look(this.#path)
      .then(
        () => true,
        () => false,
      )
      .finally(() => (this.#looking = undefined));
    const late = Promise.withResolvers<boolean>();
    const cancel = this.#clock.after(LOOK_MS, () => late.resolve(false));
    return await Promise.race([this.#looking, late.promise]).finally(cancel);
  }
}
