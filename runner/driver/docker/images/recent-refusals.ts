import { CallError } from "../../../../core/call-error.ts";
import type { Clock } from "../../../../core/clock.ts";

const MOST_KEPT = 1_000;

/** What registries refused a moment ago: calls that may not use an image are no flood of questions for them. */
export class RecentRefusals {
  readonly #clock: Clock;
  readonly #forMs: number;
  /** The oldest first. */
  readonly #kept = new Map<string, { readonly reason: CallError; readonly since: number }>();

  constructor(clock: Clock, forMs: number) {
    this.#clock = clock;
    this.#forMs = forMs;
  }

  /** Why this was refused, where it is not to be asked for again yet. */
  find(key: string): CallError | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    const agoMs = this.#clock.now() - kept.since;
    if (agoMs >= this.#forMs) return undefined;
    const { code, message, status } = kept.reason;
    const when = `as it was ${Math.round(agoMs)} ms ago, and is asked again after ${this.#forMs} ms`;
    return new CallError(code, `${message} (${when}, FN_IMAGE_REFUSAL_MSECS)`, { status, cause: kept.reason });
  }

  keep(key: string, reason: CallError): void {
    const now = this.#clock.now();
    this.#kept.delete(key);
    this.#kept.set(key, { reason, since: now });
    for (const [oldest, { since }] of this.#kept) {
      if (this.#kept.size <= MOST_KEPT && now - since < this.#forMs) break;
      this.#kept.delete(oldest);
    }
  }
}
