import { createHash } from "node:crypto";

import { CallError } from "../../core/call-error.ts";
import type { Clock } from "../../core/clock.ts";
import type { StatusCheck } from "../../core/status-check.ts";

/** From the end of a check, a failed one too. */
const KEPT_MS = 1_500;
/** Different bodies that are asked for or kept at the same time. */
const MOST_KEPT = 16;

interface Kept {
  readonly check: Promise<StatusCheck>;
  /** Infinity while it runs. */
  until: number;
  told: boolean;
}

/**
 * Runs one check for all who ask with the same body at about the same time, one check after the other. It runs to
 * its end whether those who asked for it wait or not.
 */
export class KeptChecks {
  readonly #run: (body: Uint8Array) => Promise<StatusCheck>;
  readonly #clock: Clock;
  readonly #kept = new Map<string, Kept>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(run: (body: Uint8Array) => Promise<StatusCheck>, clock: Clock) {
    this.#run = run;
    this.#clock = clock;
  }

  /** @throws CallError `too_many_requests`, or the signal's reason */
  async get(body: Uint8Array, signal: AbortSignal): Promise<StatusCheck> {
    const kept = this.#find(body);
    const check = await unlessAborted(kept.check, signal);
    const cached = kept.told;
    kept.told = true;
    return { ...check, cached };
  }

  #find(body: Uint8Array): Kept {
    const now = this.#clock.now();
    for (const [key, { until }] of this.#kept) if (until <= now) this.#kept.delete(key);
    const key = createHash("sha256").update(body).digest("hex");
    const known = this.#kept.get(key);
    if (known !== undefined) return known;
    if (this.#kept.size >= MOST_KEPT) {
      throw new CallError("too_many_requests", `Too many requests: ${MOST_KEPT} different status checks at once`);
    }
    const check = this.#last.then(() => this.#run(body));
    const kept: Kept = { check, until: Infinity, told: false };
    const ended = () => void (kept.until = this.#clock.now() + KEPT_MS);
    this.#last = check.then(ended, ended);
    this.#kept.set(key, kept);
    return kept;
  }
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const left = Promise.withResolvers<never>();
  const leave = () => left.reject(CallError.from(signal.reason, "client_cancel"));
  signal.addEventListener("abort", leave, { once: true });
  if (signal.aborted) leave();
  try {
    return await Promise.race([work, left.promise]);
  } finally {
    signal.removeEventListener("abort", leave);
  }
}
