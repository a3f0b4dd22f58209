import type { CallId } from "../../core/call.ts";
import type { Clock } from "../../core/clock.ts";
import type { OutputStream, OutputWriter } from "../driver/driver.ts";
import { LineSplitter, wholeCharacters } from "../driver/line-splitter.ts";
import type { FunctionLine, LineOrigin } from "./function-line.ts";

export interface ContainerLogOptions {
  /** What is passed on of a call, and of each time between two calls. */
  readonly maxBytes: number;
  readonly clock: Clock;
  /** While it is false nothing is split, kept or passed on. */
  readonly isHeard: () => boolean;
  readonly pass: (line: FunctionLine) => void;
  /** Nothing more will come. */
  readonly ended: () => void;
}

/**
 * What a function writes in its last moments comes on another way than its answer, and later. Until then a line
 * is the last call's; one that comes when the next call has begun already is taken for that one's.
 */
const LATE_MS = 50;

/** Whose the lines are that come now, and how much of them is still passed on. */
interface Account {
  readonly callId: CallId | undefined;
  readonly between: boolean;
  bytesLeft: number;
  cut: boolean;
}

/** Makes lines of what one container writes, and says of each to which call it belongs. No I/O and no timer. */
export class ContainerLog implements OutputWriter {
  readonly #origin: LineOrigin;
  readonly #options: ContainerLogOptions;
  readonly #splitters: Record<OutputStream, LineSplitter> = { stdout: new LineSplitter(), stderr: new LineSplitter() };
  #account: Account;
  /** Whoever began a line has all of it. */
  readonly #begun: Record<OutputStream, Account | undefined> = { stdout: undefined, stderr: undefined };
  /** Calls that run. */
  #calls = 0;
  /** When the last one ended. */
  #restsSince = 0;

  constructor(origin: LineOrigin, options: ContainerLogOptions) {
    this.#origin = origin;
    this.#options = options;
    this.#account = this.#open(undefined, true);
  }

  began(callId: CallId): void {
    this.#flush(true);
    this.#calls += 1;
    // Of several at once nobody can say which one wrote a line, until all have ended.
    this.#account = this.#calls === 1 ? this.#open(callId, false) : this.#open(undefined, false);
  }

  ended(): void {
    this.#calls -= 1;
    if (this.#calls === 0) this.#restsSince = this.#options.clock.now();
  }

  write(stream: OutputStream, bytes: Buffer): void {
    if (!this.#options.isHeard()) return this.#drop();
    this.#settle();
    if (this.#account.cut) return this.#drop();
    this.#splitters[stream].push(bytes, (piece, partial) => this.#take(stream, piece, partial));
    if (this.#splitters[stream].isInside) this.#begun[stream] ??= this.#account;
  }

  gap(mark: string): void {
    this.#flush(true);
    if (!this.#options.isHeard()) return;
    this.#settle();
    // More than the last call may have written meanwhile.
    this.#pass({ ...this.#account, between: false }, "stderr", mark, false);
  }

  end(): void {
    this.#flush(false);
    this.#options.ended();
  }

  /** The last call ended too long ago to have written what comes now. */
  #settle(): void {
    if (this.#calls > 0 || this.#account.between) return;
    if (this.#options.clock.now() - this.#restsSince <= LATE_MS) return;
    this.#account = this.#open(undefined, true);
  }

  #open(callId: CallId | undefined, between: boolean): Account {
    return { callId, between, bytesLeft: this.#options.maxBytes, cut: false };
  }

  /** Passes on what has begun and not ended. @param cut - it may have an end all the same, which is lost or another call's */
  #flush(cut: boolean): void {
    for (const stream of ["stdout", "stderr"] as const) {
      this.#splitters[stream].flush((piece) => this.#take(stream, piece, cut));
      this.#begun[stream] = undefined;
    }
  }

  #drop(): void {
    for (const stream of ["stdout", "stderr"] as const) {
      this.#splitters[stream].drop();
      this.#begun[stream] = undefined;
    }
  }

  #take(stream: OutputStream, piece: Buffer, partial: boolean): void {
    const account = this.#begun[stream] ?? this.#account;
    this.#begun[stream] = partial ? account : undefined;
    if (account.cut) return;
    // A line end is a byte of the function's as well.
    const size = piece.length + (partial ? 0 : 1);
    account.bytesLeft -= size;
    if (account.bytesLeft >= 0) return this.#pass(account, stream, piece.toString(), partial);
    account.cut = true;
    const kept = wholeCharacters(piece, Math.max(0, account.bytesLeft + size));
    if (kept > 0) this.#pass(account, stream, piece.toString("utf8", 0, kept), false);
    this.#pass(account, stream, truncationMark(this.#options.maxBytes), false);
  }

  #pass({ callId, between }: Account, stream: OutputStream, text: string, partial: boolean): void {
    const atMs = this.#options.clock.wallMs();
    this.#options.pass({ ...this.#origin, atMs, callId, between, stream, text, partial });
  }
}

/** As Fn says it. */
function truncationMark(maxBytes: number): string {
  return `-----max log size ${maxBytes} bytes exceeded, truncating log-----`;
}
