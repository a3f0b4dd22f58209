import type { EventEmitter } from "node:events";

import { type Clock, systemClock } from "./clock.ts";

/** What the person at the terminal, or the system, has asked for so far. */
export interface StopRequests extends Disposable {
  /** Aborted by the first signal: end everything in its order. */
  readonly asked: AbortSignal;
  /** Aborted by the second: do not wait for calls. */
  readonly hurried: AbortSignal;
}

// A process that watches over this one and is gone asks for the same.
const REQUESTS = ["SIGINT", "SIGTERM", "SIGHUP", "disconnect"] as const;

/** One Ctrl-C comes twice below npm: from the terminal to every process there, and from npm to us. */
const SAME_REQUEST_MS = 300;

/** Listens for signals, which end the process no more, until it is disposed. */
export function stopOnSignals(source: EventEmitter, clock: Clock = systemClock): StopRequests {
  const asked = new AbortController();
  const hurried = new AbortController();
  let askedAt = -Infinity;
  const request = () => {
    if (!asked.signal.aborted) {
      askedAt = clock.now();
      asked.abort();
    } else if (clock.now() - askedAt >= SAME_REQUEST_MS) {
      hurried.abort();
    }
  };
  for (const signal of REQUESTS) source.on(signal, request);
  return {
    asked: asked.signal,
    hurried: hurried.signal,
    [Symbol.dispose]() {
      for (const signal of REQUESTS) source.off(signal, request);
    },
  };
}
