import { CallError } from "../../../core/call-error.ts";
import type { Runner } from "../runnerpool.ts";

/** What each runner last said to a call that looks for one. */
export class Tally {
  /** Made for the first refusal: most calls have none. */
  #last: Map<Runner, CallError> | undefined;
  attempts = 0;

  refused(runner: Runner, reason: CallError): void {
    (this.#last ??= new Map()).set(runner, reason);
  }

  /** No runner could take the call however long it waited. */
  neverFits(runners: readonly Runner[]): CallError | undefined {
    if (runners.length === 0) return undefined;
    const fits = runners.some((runner) => this.#last?.get(runner)?.code !== "resource_too_big");
    return fits ? undefined : this.#last?.get(runners[0] as Runner);
  }

  /**
   * Why nobody took the call: the runners' own reason where they agree, otherwise that all are busy.
   * @param unasked - said where no runner was asked at all
   */
  verdict(timeoutMs: number, unasked: string): CallError {
    const reasons = [...(this.#last?.values() ?? [])];
    const [first] = reasons;
    if (first !== undefined && reasons.every(({ code }) => code === first.code) && first.code !== "server_busy") {
      return first;
    }
    const what = first?.message ?? unasked;
    return new CallError(
      "server_busy",
      `Timed out - server too busy: no runner took the call in ${timeoutMs} ms (${what})`,
    );
  }
}
