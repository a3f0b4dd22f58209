import type { FunctionLine } from "./function-line.ts";

/** Which lines; an empty field asks for all. */
export interface LineFilter {
  readonly appId: string;
  readonly fnId: string;
  readonly callId: string;
}

export interface LineBatch {
  /** Lines that were lost just before these. */
  readonly dropped: number;
  readonly lines: readonly FunctionLine[];
}

/** What a line takes beside its text. */
const LINE_OVERHEAD_BYTES = 256;

/** One reader's lines, in their order and within a bound. What comes while it is full is lost, and told in its place. */
export class LogReader {
  readonly #filter: LineFilter;
  readonly #maxBytes: number;
  readonly #wake: () => void;
  /** Each begins after a loss; never empty but for the last. */
  #batches: { dropped: number; lines: FunctionLine[] }[] = [];
  #bytes = 0;
  #dropped = 0;
  #over = false;

  constructor(filter: LineFilter, maxBytes: number, wake: () => void) {
    this.#filter = filter;
    this.#maxBytes = maxBytes;
    this.#wake = wake;
  }

  /** Nothing more will come. */
  get over(): boolean {
    return this.#over;
  }

  offer(line: FunctionLine): void {
    if (this.#over || !this.#wants(line)) return;
    const size = weightOf(line);
    if (this.#bytes + size > this.#maxBytes) {
      this.#dropped += 1;
      return this.#wake();
    }
    this.#bytes += size;
    const last = this.#batches.at(-1);
    if (last === undefined || this.#dropped > 0) this.#batches.push({ dropped: this.#dropped, lines: [line] });
    else last.lines.push(line);
    this.#dropped = 0;
    this.#wake();
  }

  /** The oldest lines, about `budgetBytes` of them, or undefined where there is nothing to tell. */
  take(budgetBytes: number): LineBatch | undefined {
    const [oldest] = this.#batches;
    if (oldest === undefined) {
      const dropped = this.#dropped;
      this.#dropped = 0;
      return dropped === 0 ? undefined : { dropped, lines: [] };
    }
    let bytes = 0;
    const beyond = oldest.lines.findIndex((line) => (bytes += weightOf(line)) > budgetBytes);
    const lines = oldest.lines.splice(0, beyond === -1 ? oldest.lines.length : Math.max(1, beyond));
    for (const line of lines) this.#bytes -= weightOf(line);
    const { dropped } = oldest;
    oldest.dropped = 0;
    if (oldest.lines.length === 0) this.#batches.shift();
    return { dropped, lines };
  }

  /** Takes no more; what is there may still be taken. */
  end(): void {
    this.#over = true;
    this.#wake();
  }

  #wants({ appId, fnId, callId }: FunctionLine): boolean {
    const { appId: app, fnId: fn, callId: call } = this.#filter;
    return (app === "" || app === appId) && (fn === "" || fn === fnId) && (call === "" || call === callId);
  }
}

function weightOf({ text }: FunctionLine): number {
  return LINE_OVERHEAD_BYTES + text.length;
}
