import type { CallNumber } from "./frames.ts";

export interface WindowLimits {
  /** Most bytes one call may have under way or unread here. */
  readonly callBytes: number;
  /** The same for all calls of the session together; every call may still have the least. */
  readonly sessionBytes: number;
  /** What a call gets however full the session is, so that slow ones never stop the others. */
  readonly leastBytes: number;
}

export const DEFAULT_WINDOWS: WindowLimits = {
  callBytes: 256 * 1024,
  sessionBytes: 64 * 1024 * 1024,
  leastBytes: 16 * 1024,
};

interface Window {
  /** Given and not consumed: under way, or unread in memory. */
  outstanding: number;
  /** Given and not received: what the other side may still send. */
  expected: number;
}

/** The credit one end of a session gives: per call, less as the session fills, returned on consumption. */
export class ReceiveWindows {
  readonly #limits: WindowLimits;
  readonly #grant: (call: CallNumber, bytes: number) => void;
  readonly #windows = new Map<CallNumber, Window>();
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
    const credit = this.#size();
    this.#windows.set(call, { outstanding: credit, expected: credit });
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
    const size = this.#size();
    if (window.outstanding > size / 2) return;
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

  #size(): number {
    const { callBytes, sessionBytes, leastBytes } = this.#limits;
    const share = Math.floor((sessionBytes - this.#total) / 4);
    return Math.max(leastBytes, Math.min(callBytes, share));
  }
}
