import type { Duplex } from "node:stream";

import type { Clock } from "../../../core/clock.ts";
import type { OutputStream, OutputWriter } from "../driver.ts";
import { LineSplitter } from "../line-splitter.ts";
import { StderrTail } from "../stderr-tail.ts";

const HEADER_BYTES = 8;
const STDERR = 2;

/** Takes apart what Docker multiplexes on an attached connection. Holds no more than one header. */
export function demultiplex(onBytes: (stream: OutputStream, bytes: Buffer) => void): (chunk: Buffer) => void {
  const header = Buffer.alloc(HEADER_BYTES);
  let headerBytes = 0;
  let payloadLeft = 0;

  return (chunk) => {
    let at = 0;
    while (at < chunk.length) {
      if (payloadLeft === 0) {
        const copied = chunk.copy(header, headerBytes, at);
        at += copied;
        headerBytes = (headerBytes + copied) % HEADER_BYTES;
        if (headerBytes === 0) payloadLeft = header.readUInt32BE(4);
        continue;
      }
      const bytes = chunk.subarray(at, at + payloadLeft);
      at += bytes.length;
      payloadLeft -= bytes.length;
      onBytes(header[0] === STDERR ? "stderr" : "stdout", bytes);
    }
  };
}

/** Gives the lines of a stream as text; a very long one comes in pieces. */
export function splitLines(onLine: (line: string) => void): { push(bytes: Buffer): void; end(): void } {
  const splitter = new LineSplitter();
  const pass = (piece: Buffer) => onLine(piece.toString());
  return { push: (bytes) => splitter.push(bytes, pass), end: () => splitter.flush(pass) };
}

export interface ContainerOutput {
  stderrTail(): string;
  /** Resolves when nothing more will come. */
  readonly ended: Promise<void>;
  close(): void;
}

export interface ReadOptions {
  readonly writer: OutputWriter | undefined;
  /** Attaches once more after a connection has ended; undefined where no more will come. Does not reject. */
  readonly again: () => Promise<Duplex | undefined>;
  readonly clock: Clock;
}

/**
 * Reads what a container writes, as fast as it comes, keeping only the end of stderr. What it wrote while nobody was
 * attached is lost: without a log driver Docker keeps nothing of it, and fills no disk with it.
 */
export function readOutput(first: Duplex, { writer, again, clock }: ReadOptions): ContainerOutput {
  const tail = new StderrTail();
  const closed = new AbortController();
  const take = (stream: OutputStream, bytes: Buffer) => {
    if (stream === "stderr") tail.push(bytes);
    writer?.write(stream, bytes);
  };
  const readAll = async () => {
    for (let next: Duplex | undefined = first; next !== undefined;) {
      await readOne(next, take, closed.signal);
      if (closed.signal.aborted) break;
      const since = clock.wallMs();
      next = await again();
      if (next === undefined) break;
      const mark = missingMark(since, clock.wallMs());
      tail.gap(mark);
      writer?.gap(mark);
    }
    writer?.end();
  };
  return { stderrTail: () => tail.text(), ended: readAll(), close: () => closed.abort() };
}

function missingMark(sinceMs: number, untilMs: number): string {
  const [since, until] = [sinceMs, untilMs].map((ms) => new Date(ms).toISOString());
  return `-----output between ${since} and ${until} may be missing, Docker was away-----`;
}

/** Reads a connection to its end, or until it is not wanted any more. */
async function readOne(
  connection: Duplex,
  take: (stream: OutputStream, bytes: Buffer) => void,
  closed: AbortSignal,
): Promise<void> {
  const over = Promise.withResolvers<void>();
  const close = () => connection.destroy();
  connection.on("data", demultiplex(take));
  // A daemon that goes away ends the connection with an error; the exit watch deals with that.
  connection.on("error", () => {});
  connection.on("close", over.resolve);
  closed.addEventListener("abort", close, { once: true });
  if (closed.aborted) close();
  await over.promise;
  closed.removeEventListener("abort", close);
}
