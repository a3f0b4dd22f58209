import { pause, type Clock } from "../../core/clock.ts";
import type { RunnerSession } from "./session.ts";

export interface FarewellLimits {
  /** How long a gateway that owes nothing but its last word is waited for. */
  readonly silentMs: number;
  /** The same for one that has not yet taken the end of an answer. */
  readonly answerMs: number;
}

const POLL_MS = 10;

/**
 * The sessions whose gateways have not said that they send nothing more. A runner that has drained waits for them:
 * otherwise an offer that crosses its last word is lost with the connection, and nobody can say whether it ran.
 */
export class Farewells {
  readonly #open = new Set<Pick<RunnerSession, "held">>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Returns what is to be called once its gateway has said so, or is gone. */
  expect(session: Pick<RunnerSession, "held">): () => void {
    this.#open.add(session);
    return () => this.#open.delete(session);
  }

  /** Resolves when all have, or are no longer waited for. */
  async allSaid({ silentMs, answerMs }: FarewellLimits, hurried: AbortSignal): Promise<void> {
    const began = this.#clock.now();
    while (this.#open.size > 0 && !hurried.aborted) {
      const isOwed = [...this.#open].some(({ held }) => held.bodies > 0);
      if (this.#clock.now() - began >= (isOwed ? answerMs : silentMs)) return;
      await pause(this.#clock, POLL_MS, hurried);
    }
  }
}
