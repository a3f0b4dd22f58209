import type { Clock } from "../../../core/clock.ts";

export interface EjectionLimits {
  /** Failures in a row after which a runner gets no calls for a while; 0 for never. */
  readonly failures: number;
  /** For how long at first. */
  readonly baseMs: number;
  /** How many times longer each time that it fails again soon after. */
  readonly growth: number;
  readonly maxMs: number;
}

interface Record {
  /** In a row. */
  failures: number;
  /** How often it was ejected without having been well for as long in between. */
  times: number;
  ejectedAt: number;
  until: number;
}

/** Fewer than half of a pool are ever left out: then the fault is hardly theirs. */
const MOST_EJECTED = 0.5;

/** Which runners get no calls, because the last ones all failed by the platform's fault. No I/O and no timer. */
export class Outliers {
  readonly #limits: EjectionLimits;
  readonly #clock: Clock;
  readonly #records = new Map<string, Record>();

  constructor(limits: EjectionLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** For how long the runner is left out from now on; undefined where it is not, or was already. */
  failed(address: string): number | undefined {
    const { failures, baseMs, growth, maxMs } = this.#limits;
    if (failures === 0) return undefined;
    const now = this.#clock.now();
    const record = this.#record(address);
    if (now < record.until) return undefined;
    record.failures += 1;
    if (record.failures < failures) return undefined;
    const ms = Math.min(maxMs, baseMs * growth ** record.times);
    record.failures = 0;
    record.times += 1;
    record.ejectedAt = now;
    record.until = now + ms;
    return ms;
  }

  succeeded(address: string): void {
    const record = this.#records.get(address);
    if (record === undefined) return;
    record.failures = 0;
    const lastedMs = record.until - record.ejectedAt;
    if (this.#clock.now() >= record.until + lastedMs) this.#records.delete(address);
  }

  forget(address: string): void {
    this.#records.delete(address);
  }

  /** Those of a pool that are left out: the longest ejected, and never more than half. */
  ejected(addresses: readonly string[]): ReadonlySet<string> {
    const now = this.#clock.now();
    const out = addresses
      .map((address) => ({ address, record: this.#records.get(address) }))
      .filter(({ record }) => record !== undefined && record.until > now)
      .sort((a, b) => (a.record?.ejectedAt ?? 0) - (b.record?.ejectedAt ?? 0));
    const most = Math.floor(addresses.length * MOST_EJECTED);
    return new Set(out.slice(0, most).map(({ address }) => address));
  }

  #record(address: string): Record {
    let record = this.#records.get(address);
    if (record === undefined) {
      this.#records.set(address, (record = { failures: 0, times: 0, ejectedAt: 0, until: -Infinity }));
    }
    return record;
  }
}
