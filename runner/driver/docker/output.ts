import type { Duplex } from "node:stream";

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

/** Keeps the last bytes of a stream. */
export class Tail {
  readonly #ring: Buffer;
  #written = 0;

  constructor(maxBytes: number) {
    this.#ring = Buffer.alloc(maxBytes);
  }

  push(bytes: Buffer): void {
    const size = this.#ring.length;
    const last = bytes.subarray(-size);
    const at = (this.#written + bytes.length - last.length) % size;
    const copied = last.copy(this.#ring, at);
    last.copy(this.#ring, 0, copied);
    this.#written += bytes.length;
  }

  /** The last whole lines, or the end of one line that is longer than all the room there is. */
  text(): string {
    const size = this.#ring.length;
    if (this.#written <= size) return this.#ring.toString("utf8", 0, this.#written);
    const oldest = this.#written % size;
    const last = Buffer.concat([this.#ring.subarray(oldest), this.#ring.subarray(0, oldest)]);
    const lineEnd = last.indexOf("\n");
    return last.toString("utf8", lineEnd === size - 1 ? 0 : lineEnd + 1);
  }
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
export type OnLine = (line: { readonly containerId: string; readonly stream: OutputStream; readonly text: string }) => void;

export interface ContainerOutput {
  stderrTail(): string;
  /** Resolves when nothing more will come. */
  readonly ended: Promise<void>;
  close(): void;
}

const STDERR_TAIL_BYTES = 4_096;

/** Reads an attached connection to its end, keeping only the end of stderr. */
export function readOutput(connection: Duplex, containerId: string, onLine?: OnLine): ContainerOutput {
  const tail = new Tail(STDERR_TAIL_BYTES);
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
