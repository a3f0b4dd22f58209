import { NumberMap } from "../number-map.ts";
import type { CallNumber } from "./frames.ts";

export interface WindowLimits {
  /** What a call begins with: enough for a small answer, and for many calls at a time. */
  readonly firstBytes: number;
  /** Most bytes one call may have under way or unread here. */
  readonly callBytes: number;
  /** The same for all calls of the session together; every call may still have the least. */
  readonly sessionBytes: number;
  /** What a call gets however full the session is, so that slow ones never stop the others. */
  readonly leastBytes: number;
}

export const DEFAULT_WINDOWS: WindowLimits = {
  firstBytes: 256 * 1024,
  // 100 MB/s at 10 ms of round trip.
  callBytes: 1024 * 1024,
  sessionBytes: 64 * 1024 * 1024,
  leastBytes: 16 * 1024,
};

/** What one call and all of a session may have, as operators set it; a call begins with no more than by default. */
export function windowsOf(settings: {
  readonly FN_CALL_WINDOW_BYTES: number;
  readonly FN_SESSION_WINDOW_BYTES: number;
}): WindowLimits {
  const { FN_CALL_WINDOW_BYTES: callBytes, FN_SESSION_WINDOW_BYTES: sessionBytes } = settings;
  return { ...DEFAULT_WINDOWS, callBytes, sessionBytes };
}

interface Window {
  /** Given and not consumed: under way, or unread in memory. */
  outstanding: number;
  /** Given and not received: what the other side may still send. */
  expected: number;
  /** What it may grow to now. */
  most: number;
}

/**
 * The credit one end of a session gives: per call, less as the session fills, returned on consumption. A call that uses
 * its window gets one twice as large each time, so that a large body does not wait for the way back and forth.
 */
export class ReceiveWindows {
  readonly #limits: WindowLimits;
  readonly #grant: (call: CallNumber, bytes: number) => void;
  readonly #windows = new NumberMap<Window>();
  #total = 0;

  constructor(limits: WindowLimits, grant: (call: CallNumber, bytes: number) => void) {
    this.#limits = limits;
    this.#grant = grant;
  }

  /** Bytes under way or unread, over all calls. */
  get outstandingBytes(): number {
    return this.#total;
  }

  /** Opens a call's window and returns its first credit, which the caller passes on. */
  open(call: CallNumber): number {
    const most = Math.min(this.#limits.firstBytes, this.#limits.callBytes);
    const credit = this.#size(most);
    this.#windows.set(call, { outstanding: credit, expected: credit, most });
    this.#total += credit;
    return credit;
  }

  /** Counts what came. False: the other side sent more than it was given, or was given nothing. */
  received(call: CallNumber, bytes: number): boolean {
    const window = this.#windows.get(call);
    if (window === undefined) return false;
    window.expected -= bytes;
    return window.expected >= 0;
  }

  /** Counts what has left memory, and gives new credit once it is worth a frame. */
  consumed(call: CallNumber, bytes: number): void {
    const window = this.#windows.get(call);
    if (window === undefined) return;
    window.outstanding -= bytes;
    this.#total -= bytes;
    if (window.outstanding > this.#size(window.most) / 2) return;
    window.most = Math.min(window.most * 2, this.#limits.callBytes);
    const size = this.#size(window.most);
    const more = size - window.outstanding;
    window.outstanding += more;
    window.expected += more;
    this.#total += more;
    this.#grant(call, more);
  }

  close(call: CallNumber): void {
    this.#total -= this.#windows.get(call)?.outstanding ?? 0;
    this.#windows.delete(call);
  }

  #size(most: number): number {
    const { sessionBytes, leastBytes } = this.#limits;
    const share = Math.floor((sessionBytes - this.#total) / 4);
    return Math.max(leastBytes, Math.min(most, share));
  }
}
