import { setImmediate } from "node:timers";

/** Wakes a writer once the event loop has turned, so that all frames of a busy tick become one message. */
export class Bell {
  #waiting: () => void = () => {};
  #rung = false;
  #scheduled = false;

  ring(): void {
    if (this.#scheduled || this.#rung) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#rung = true;
      this.#waiting();
    });
  }

  /** Resolves at the next ring, or at once after one that nobody heard. */
  async heard(): Promise<void> {
    if (!this.#rung) await new Promise<void>((resolve) => (this.#waiting = resolve));
    this.#rung = false;
  }
}
