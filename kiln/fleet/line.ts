import type { Clock } from "../../core/clock.ts";

export interface LineOptions<Message> {
  readonly clock: Clock;
  readonly latencyMs: () => number;
  /** The next message to write, if there is one. */
  readonly take: () => Message | undefined;
  readonly deliver: (message: Message) => void;
}

/** One direction of a connection: messages arrive in their order, each after its latency. */
export class Line<Message> {
  readonly #options: LineOptions<Message>;
  #lastArrival = 0;
  #woken = false;
  #cut = false;

  constructor(options: LineOptions<Message>) {
    this.#options = options;
  }

  /** There is something to take. Frames of one moment share a message. */
  readonly wake = (): void => {
    if (this.#woken) return;
    this.#woken = true;
    this.#options.clock.after(0, () => {
      this.#woken = false;
      this.#write();
    });
  };

  /** Nothing arrives any more. What is written goes nowhere, and its writer cannot know. */
  cut(): void {
    this.#cut = true;
  }

  #write(): void {
    const { clock, latencyMs, take, deliver } = this.#options;
    const message = take();
    if (message === undefined) return;
    this.#lastArrival = Math.max(this.#lastArrival, clock.now() + latencyMs());
    clock.after(this.#lastArrival - clock.now(), () => {
      if (!this.#cut) deliver(message);
    });
    this.wake();
  }
}
