import type { Clock } from "../../../core/clock.ts";
import { ERROR_CODES, type ErrorCode } from "../../../core/error-codes.ts";
import type { Log } from "../../../core/log.ts";
import type { PkiData, PkiSource } from "../../../core/pki.ts";
import type { RunnerFactory } from "../mtls-runner.ts";
import type { CapacityNews, Runner } from "../runnerpool.ts";
import type { FixedPool, RunnerAddress } from "../static-pool.ts";
import { Outliers, type EjectionLimits } from "./outliers.ts";
import type { RunnerSource } from "./runner-source.ts";

export interface LivePoolOptions {
  /** Which runners there are; the pool owns it. */
  readonly source: RunnerSource;
  readonly factory: RunnerFactory;
  readonly pki: PkiData | PkiSource;
  readonly ejection: EjectionLimits;
  readonly clock: Clock;
  readonly log: Log;
}

/** Where it stands, by which name it is believed, and what it is called. */
function identity({ address, certCommonName, labels }: RunnerAddress): string {
  return JSON.stringify([address, certCommonName, labels]);
}

/** Whether the runner, and not the call or the operator, is to blame. */
function isRunnersFault(code: ErrorCode): boolean {
  const { blame, component } = ERROR_CODES[code];
  return blame === "platform" && component === "runner";
}

/**
 * A pool whose runners come and go. One that goes ends its calls first; one whose calls fail by its own fault, several
 * in a row, is left out for a while.
 */
export function livePool(options: LivePoolOptions): FixedPool {
  const { source, factory, pki, clock, log } = options;
  const outliers = new Outliers(options.ejection, clock);
  const members = new Map<string, Runner>();
  const leaving = new Set<Promise<void>>();
  const listeners = new Set<(news: CapacityNews) => void>();
  const timers = new Set<() => void>();
  let list: readonly Runner[] = [];

  const tell = (news: CapacityNews) => {
    for (const hear of listeners) hear(news);
  };
  const choose = () => {
    const all = [...members.values()];
    const out = outliers.ejected(all.map(({ address }) => address));
    list = all.filter(({ address }) => !out.has(address));
    tell({ kind: "members" });
  };
  const eject = (runner: Runner, code: ErrorCode) => {
    const ms = outliers.failed(runner.address);
    if (ms === undefined) return;
    log.warn("Runner left out: its last calls all failed", { runner: runner.address, code, ms });
    const cancel = clock.after(ms, () => {
      timers.delete(cancel);
      choose();
    });
    timers.add(cancel);
    choose();
  };
  const hear = (news: CapacityNews) => {
    if (news.kind === "ended") {
      const { runner, placed, code } = news;
      if (code !== undefined && isRunnersFault(code)) eject(runner, code);
      else if (placed) outliers.succeeded(runner.address);
    }
    tell(news);
  };
  const dismiss = (runner: Runner) => {
    outliers.forget(runner.address);
    log.info("Runner leaves the pool", { runner: runner.address });
    const gone = Promise.resolve(runner[Symbol.asyncDispose]()).finally(() => leaving.delete(gone));
    leaving.add(gone);
  };
  const follow = () => {
    const wanted = new Map(source.runners.map((one) => [identity(one), one]));
    for (const [key, runner] of members) {
      if (wanted.has(key)) continue;
      members.delete(key);
      dismiss(runner);
    }
    for (const [key, { address, certCommonName, labels }] of wanted) {
      if (members.has(key)) continue;
      const runner = factory(address, certCommonName, pki, labels);
      runner.onCapacity(hear);
      members.set(key, runner);
    }
    choose();
  };
  const unfollow = source.onChange(follow);
  follow();

  return {
    readiness() {
      const connected = [...members.values()].filter((runner) => runner.connected).length;
      return { ready: connected > 0, detail: `${connected} of ${members.size} runners connected` };
    },
    runners: () => Promise.resolve(list),
    onCapacity(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async [Symbol.asyncDispose]() {
      unfollow();
      for (const cancel of timers) cancel();
      await source[Symbol.asyncDispose]();
      await Promise.all([...leaving, ...[...members.values()].map((runner) => runner[Symbol.asyncDispose]())]);
    },
  };
}
