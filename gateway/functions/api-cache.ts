import { CallError } from "../../core/call-error.ts";
import { pause, type Clock } from "../../core/clock.ts";
import type { ApiOutage } from "./api-outage.ts";

export interface CacheLimits {
  /** Most of what is remembered, what is known not to be there among it; and most that is asked for at a time. */
  readonly maxEntries: number;
  /** How long an answer is believed. */
  readonly freshMs: number;
  /** The same for the answer that there is none, and for a failure. */
  readonly noneMs: number;
  /** How old an answer may be that is served while no other can be had. */
  readonly staleMs: number;
}

export interface ApiCacheOptions<T> {
  readonly clock: Clock;
  readonly limits: CacheLimits;
  readonly outage: ApiOutage;
  /**
   * Asks the API. `known` is what it said before, and is returned where nothing changed. `once`: somebody is served
   * meanwhile, so that another try can wait for the next who asks.
   */
  load(key: string, known: T | undefined, once: boolean): Promise<T | undefined>;
}

interface Entry<T> {
  /** Undefined: the API says that there is none. */
  readonly value: T | undefined;
  readonly readAt: number;
  /** When it is asked for again. */
  againAt: number;
}

/** Who knows what a function was does not wait longer than this for what it is now. */
const PATIENCE_MS = 250;

/** What an API answered, believed for a while, and served beyond it as long as the API does not answer. */
export class ApiCache<T extends object> {
  readonly #options: ApiCacheOptions<T>;
  readonly #entries = new Map<string, Entry<T>>();
  readonly #loading = new Map<string, Promise<T | undefined>>();

  constructor(options: ApiCacheOptions<T>) {
    this.#options = options;
  }

  /** @throws CallError `store_unavailable` where the API is away and nothing is known */
  async get(key: string, signal: AbortSignal): Promise<T | undefined> {
    const { clock, limits, outage } = this.#options;
    const now = clock.now();
    const entry = this.#entries.get(key);
    if (entry !== undefined && now < entry.againAt) return entry.value;
    const known = entry !== undefined && now - entry.readAt <= limits.staleMs ? entry.value : undefined;
    const asked = this.#loading.get(key) ?? (this.#hasRoom() && outage.mayAsk() ? this.#ask(key, entry) : undefined);
    if (asked === undefined) {
      if (known !== undefined) return known;
      throw unavailable();
    }
    return await (known === undefined ? unlessAborted(asked, signal) : this.#soonOr(known, asked));
  }

  async #soonOr(known: T, asked: Promise<T | undefined>): Promise<T | undefined> {
    const over = new AbortController();
    const patience = pause(this.#options.clock, PATIENCE_MS, over.signal).then(() => known);
    const answer = asked.catch((error: unknown) => {
      if (isAway(error)) return known;
      throw error;
    });
    try {
      return await Promise.race([answer, patience]);
    } finally {
      over.abort();
    }
  }

  #hasRoom(): boolean {
    return this.#loading.size < this.#options.limits.maxEntries;
  }

  #ask(key: string, entry: Entry<T> | undefined): Promise<T | undefined> {
    const { clock, limits, load } = this.#options;
    const asked = load(key, entry?.value, entry?.value !== undefined)
      .then(
        (value) => {
          const now = clock.now();
          const againAt = now + (value === undefined ? limits.noneMs : limits.freshMs);
          this.#remember(key, { value, readAt: now, againAt });
          return value;
        },
        (error: unknown) => {
          if (entry?.value !== undefined && !(error instanceof CallError)) entry.againAt = clock.now() + limits.noneMs;
          throw error instanceof CallError ? error : unavailable(error);
        },
      )
      .finally(() => this.#loading.delete(key));
    // Everybody who waited may have gone, or been served what was known.
    asked.catch(() => {});
    this.#loading.set(key, asked);
    return asked;
  }

  #remember(key: string, entry: Entry<T>): void {
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#options.limits.maxEntries) break;
      this.#entries.delete(oldest);
    }
  }
}

function isAway(error: unknown): boolean {
  return error instanceof CallError && error.code === "store_unavailable";
}

/** The address is in the cause, for the log: callers need not know it. */
function unavailable(cause?: unknown): CallError {
  return new CallError("store_unavailable", "The API that knows the functions cannot be reached", { cause });
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
