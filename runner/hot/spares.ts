import type { Clock } from "../../core/clock.ts";

export interface SparesOptions<T> {
  readonly most: number;
  readonly make: () => Promise<T>;
  /** Told why one could not be made ahead. It is tried again once another was taken. */
  readonly failed: (error: unknown) => void;
  readonly clock: Clock;
}

/** Whoever takes one has work to do at once, which would share the processors with the making of the next. */
const REFILL_AFTER_MS = 1_000;

/** So many of something are made ahead, one at a time, from a second on. Disposing it makes no more, and forgets those that are there. */
export class Spares<T> implements AsyncDisposable {
  readonly #options: SparesOptions<T>;
  readonly #ready: T[] = [];
  #filling: Promise<void> = Promise.resolve();
  #cancel: (() => void) | undefined;
  #closed = false;

  constructor(options: SparesOptions<T>) {
    this.#options = options;
    this.#fillLater();
  }

  /** One that is there, or a new one. */
  async take(): Promise<T> {
    this.#fillLater();
    return this.#ready.shift() ?? (await this.#options.make());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#filling;
    this.#ready.length = 0;
  }

  /** Counted from the first that was taken: who takes one after the other must not put it off for ever. */
  #fillLater(): void {
    if (this.#closed) return;
    this.#cancel ??= this.#options.clock.after(REFILL_AFTER_MS, () => {
      this.#cancel = undefined;
      this.#fill();
    });
  }

  #fill(): void {
    this.#filling = this.#filling.then(() => this.#makeUp());
  }

  async #makeUp(): Promise<void> {
    const { most, make, failed } = this.#options;
    try {
      while (!this.#closed && this.#ready.length < most) this.#ready.push(await make());
    } catch (error) {
      failed(error);
    }
  }
}
