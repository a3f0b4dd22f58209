import { CallError } from "../../../core/call-error.ts";
import { pause, type Clock } from "../../../core/clock.ts";
import type { Log } from "../../../core/log.ts";
import type { Availability } from "../driver.ts";
import { engineFailure } from "./docker-errors.ts";
import type { Docker } from "./engine.ts";

export interface EngineHealthOptions {
  /** Between two pings, while Docker answers and while it does not. */
  readonly everyMs: number;
  /** Longest wait for a ping's answer. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Knows whether Docker answers, from asking it again and again. Disposing it ends that. */
export interface EngineHealth extends Availability, AsyncDisposable {
  /** Aborts when Docker goes away, with why. Another one after it has come back. */
  readonly away: AbortSignal;
  /** Resolves at once while Docker answers, or else when it does again or the health is disposed of. */
  back(): Promise<void>;
}

/** @param ping - rejects where Docker does not answer before its signal aborts */
export function watchEngine(
  ping: (signal: AbortSignal) => Promise<unknown>,
  { everyMs, timeoutMs, clock, log }: EngineHealthOptions,
): EngineHealth {
  const observers = new Set<() => void>();
  const disposed = new AbortController();
  let away = new AbortController();
  let back: PromiseWithResolvers<void> | undefined;
  let trouble: CallError | undefined;

  const tell = () => {
    for (const observer of observers) observer();
  };
  const wentAway = (reason: CallError) => {
    if (trouble !== undefined) return;
    log.error("Docker is away: calls that need it are refused until it is back", { reason });
    trouble = reason;
    back = Promise.withResolvers();
    away.abort(reason);
    tell();
  };
  const cameBack = () => {
    if (trouble === undefined) return;
    log.info("Docker is back");
    trouble = undefined;
    away = new AbortController();
    back?.resolve();
    tell();
  };
  const watch = async () => {
    while (!disposed.signal.aborted) {
      const reason = await failure(ping, timeoutMs, clock, disposed.signal);
      if (disposed.signal.aborted) break;
      if (reason === undefined) cameBack();
      else wentAway(reason);
      await pause(clock, everyMs, disposed.signal);
    }
  };
  const watching = watch();

  return {
    get trouble() {
      return trouble;
    },
    get away() {
      return away.signal;
    },
    back: async () => back?.promise,
    observe(observer) {
      observers.add(observer);
      return () => observers.delete(observer);
    },
    async [Symbol.asyncDispose]() {
      disposed.abort();
      back?.resolve();
      await watching;
    },
  };
}

/** Asks an Engine by its own ping, which touches nothing and costs next to nothing. */
export function enginePing(docker: Docker): (signal: AbortSignal) => Promise<unknown> {
  // Dockerode takes options here and its types do not say so; `bind` picks the signature they fit.
  const ping: (options: { abortSignal: AbortSignal }) => Promise<unknown> = docker.ping.bind(docker);
  return (abortSignal) => ping({ abortSignal });
}

/** Why there was no answer; undefined where there was one. */
async function failure(
  ping: (signal: AbortSignal) => Promise<unknown>,
  timeoutMs: number,
  clock: Clock,
  stop: AbortSignal,
): Promise<CallError | undefined> {
  const late = new AbortController();
  const cancel = clock.after(timeoutMs, () => late.abort());
  try {
    await ping(AbortSignal.any([late.signal, stop]));
    return undefined;
  } catch (cause) {
    const why = late.signal.aborted
      ? `it does not answer within ${timeoutMs} ms, FN_DOCKER_PING_TIMEOUT_MSECS`
      : engineFailure(cause).message;
    return new CallError("docker_unavailable", `Docker cannot be reached: ${why}`, { cause });
  } finally {
    cancel();
  }
}
