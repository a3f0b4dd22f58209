import { createWriteStream, renameSync, statSync, type WriteStream } from "node:fs";

import type { Log } from "../../../core/log.ts";

/** A file of JSON lines that is written beside other work. Disposing it writes what is left. */
export interface LinesFile extends AsyncDisposable {
  write(line: object): void;
}

/** Bytes that may wait to be written; lines beyond are dropped and counted. */
const MOST_WAITING = 8 * 1024 * 1024;

export interface LinesFileOptions {
  readonly log: Log;
  /** From which on the file is full. */
  readonly largestBytes: number;
}

/** Appends to a file. Once it is full it becomes `path.1`, in the place of the one before, and another begins. */
export function linesFile(path: string, { log, largestBytes }: LinesFileOptions): LinesFile {
  let size = sizeOf(path);
  let dropped = 0;
  const open = (): WriteStream => {
    const stream = createWriteStream(path, { flags: "a" });
    stream.on("error", (error) => log.error("Lines are lost: the file cannot be written", { file: path, error }));
    return stream;
  };
  let stream = open();
  const append = (line: object) => {
    const text = `${JSON.stringify(line)}\n`;
    size += text.length;
    stream.write(text);
  };
  const rotate = () => {
    // What the old stream still holds goes with the file that it has open.
    stream.end();
    renameSync(path, `${path}.1`);
    size = 0;
    stream = open();
  };
  return {
    write(line) {
      if (stream.writableLength > MOST_WAITING) return void (dropped += 1);
      if (dropped > 0) append({ kind: "dropped", lines: dropped });
      dropped = 0;
      append(line);
      if (size >= largestBytes && !stream.pending) rotate();
    },
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => stream.end(() => resolve()));
    },
  };
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
