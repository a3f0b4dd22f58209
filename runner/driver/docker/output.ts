import type { Duplex } from "node:stream";

import { StderrTail } from "../stderr-tail.ts";

export type OutputStream = "stdout" | "stderr";

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

const LONGEST_LINE_BYTES = 8_192;

/** Cuts a stream into lines, without their ends; a very long one comes in pieces. */
export function splitLines(onLine: (line: string) => void): { push(bytes: Buffer): void; end(): void } {
  let rest: Buffer = Buffer.alloc(0);
  return {
    push(bytes) {
      let left = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
      for (;;) {
        const lineEnd = left.subarray(0, LONGEST_LINE_BYTES).indexOf("\n");
        if (lineEnd < 0 && left.length < LONGEST_LINE_BYTES) break;
        const cut = lineEnd < 0 ? LONGEST_LINE_BYTES : lineEnd;
        onLine(left.toString("utf8", 0, cut));
        left = left.subarray(lineEnd < 0 ? cut : cut + 1);
      }
      // A copy: the view would keep all of what it came in.
      rest = Buffer.from(left);
    },
    end() {
      if (rest.length > 0) onLine(rest.toString());
      rest = Buffer.alloc(0);
    },
  };
}

/** Takes one line of what a container wrote, without its end. */
export type OnLine = (line: {
  readonly containerId: string;
  readonly stream: OutputStream;
  readonly text: string;
}) => void;

export interface ContainerOutput {
  stderrTail(): string;
  /** Resolves when nothing more will come. */
  readonly ended: Promise<void>;
  close(): void;
}

/** Reads an attached connection to its end, keeping only the end of stderr. */
export function readOutput(connection: Duplex, containerId: string, onLine?: OnLine): ContainerOutput {
  const tail = new StderrTail();
  const lines = (stream: OutputStream) => splitLines((text) => onLine?.({ containerId, stream, text }));
  const split = { stdout: lines("stdout"), stderr: lines("stderr") };
  const ended = Promise.withResolvers<void>();
  const take = demultiplex((stream, bytes) => {
    if (stream === "stderr") tail.push(bytes);
    if (onLine !== undefined) split[stream].push(bytes);
  });
  connection.on("data", take);
  // A daemon that goes away ends the connection with an error; the exit watch deals with that.
  connection.on("error", () => {});
  connection.on("close", () => {
    split.stdout.end();
    split.stderr.end();
    ended.resolve();
  });
  return { stderrTail: () => tail.text(), ended: ended.promise, close: () => connection.destroy() };
}
