import type { Duplex } from "node:stream";

import { pause, type Clock } from "../../../core/clock.ts";
import { isGone, isUnavailable } from "./docker-errors.ts";

export interface AttachAgainOptions {
  /** Resolves when the container has ended. */
  readonly ended: Promise<unknown>;
  /** It is removed. */
  readonly gone: AbortSignal;
  readonly clock: Clock;
}

/** The end is told on one connection and the last output on another. */
const LAST_NEWS_MS = 500;
/** Between two tries; doubled while the daemon is there and refuses, as it does for as long as a container is paused. */
const WAIT_MS = { least: 500, most: 8_000 } as const;

/**
 * Attaches to a container that outlived the daemon it was attached through. Undefined for one that has ended, or is
 * removed: its connection closes then too, and at about the time that its end is told.
 */
export async function attachAgain(
  attach: () => Promise<Duplex>,
  { ended, gone, clock }: AttachAgainOptions,
): Promise<Duplex | undefined> {
  let over = false;
  const end = ended.then(() => (over = true));
  await settled(end, clock);
  let waitMs: number = WAIT_MS.least;
  while (!over && !gone.aborted) {
    try {
      return await attach();
    } catch (error) {
      if (isGone(error)) break;
      waitMs = isUnavailable(error) ? WAIT_MS.least : Math.min(2 * waitMs, WAIT_MS.most);
      await Promise.race([end, pause(clock, waitMs, gone)]);
    }
  }
  return undefined;
}

/** Resolves when `news` has come, or is overdue. */
export async function settled(news: Promise<unknown>, clock: Clock): Promise<void> {
  const waiting = new AbortController();
  await Promise.race([news, pause(clock, LAST_NEWS_MS, waiting.signal)]).finally(() => waiting.abort());
}
