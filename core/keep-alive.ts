import type { Http2Session } from "node:http2";

import type { Clock } from "./clock.ts";

export interface PingTimes {
  readonly everyMs: number;
  /** A peer that answers no ping for so long is gone, whatever TCP says. */
  readonly timeoutMs: number;
}

/** Pings the peer until the session ends, and calls `gone` once if an answer stays away. */
export function keepAlive(session: Http2Session, times: PingTimes, clock: Clock, gone: (reason: Error) => void): void {
  let cancel = () => {};
  const wait = () => {
    if (!session.destroyed) cancel = clock.after(times.everyMs, ping);
  };
  const ping = () => {
    if (session.destroyed) return;
    cancel = clock.after(times.timeoutMs, () => gone(new Error(`no answer to a ping in ${times.timeoutMs} ms`)));
    session.ping(() => {
      cancel();
      wait();
    });
  };
  session.once("close", () => cancel());
  wait();
}
