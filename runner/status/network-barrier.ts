import { lstat } from "node:fs/promises";

import type { Clock } from "../../core/clock.ts";

export interface BarrierOptions {
  readonly path: string;
  /** Longest look: it takes no time, or for ever, where its file system hangs. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly look?: (path: string) => Promise<unknown>;
}

/**
 * Looks whether a file is there. A look that hangs counts as no, and there is never a second one beside it: each holds
 * one of the few threads that all files are read with.
 */
export class NetworkBarrier {
  readonly #options: BarrierOptions;
  #looking: Promise<boolean> | undefined;

  constructor(options: BarrierOptions) {
    this.#options = options;
  }

  async isThere(): Promise<boolean> {
    const { path, timeoutMs, clock, look = lstat } = this.#options;
    this.#looking ??= look(path)
      .then(
        () => true,
        () => false,
      )
      .finally(() => (this.#looking = undefined));
    const late = Promise.withResolvers<boolean>();
    const cancel = clock.after(timeoutMs, () => late.resolve(false));
    return await Promise.race([this.#looking, late.promise]).finally(cancel);
  }
}
