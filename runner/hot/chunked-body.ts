import type { Buffer } from "node:buffer";

import { InvalidResponse } from "./response-head.ts";

/** Longest line that says a chunk's size, extensions included. */
const LONGEST_LINE = 1_024;

/** Reads a chunked body; its extensions and trailers are dropped. */
export class ChunkedBody {
  readonly #piece: (bytes: Buffer) => void;
  readonly #maxTrailerBytes: number;
  #state: "size" | "data" | "data end" | "trailer" = "size";
  /** Of the chunk that is being read. */
  #left = 0;
  /** Of a line that has not come whole. */
  #line = "";
  #trailerBytes = 0;

  constructor(maxTrailerBytes: number, piece: (bytes: Buffer) => void) {
    this.#maxTrailerBytes = maxTrailerBytes;
    this.#piece = piece;
  }

  /** What follows the body, once it has ended; undefined before. @throws InvalidResponse */
  push(bytes: Buffer): Buffer | undefined {
    let at = 0;
    while (at < bytes.length) {
      if (this.#state === "data") {
        const size = Math.min(this.#left, bytes.length - at);
        this.#piece(bytes.subarray(at, at + size));
        this.#left -= size;
        at += size;
        if (this.#left === 0) this.#state = "data end";
        continue;
      }
      const end = bytes.indexOf(0x0a, at);
      this.#line += bytes.toString("latin1", at, end < 0 ? bytes.length : end + 1);
      if (this.#line.length > (this.#state === "trailer" ? this.#maxTrailerBytes : LONGEST_LINE))
        throw new InvalidResponse("a line of its chunked body is too long");
      if (end < 0) return undefined;
      at = end + 1;
      if (this.#endLine()) return bytes.subarray(at);
    }
    return undefined;
  }

  /** True: the body has ended. */
  #endLine(): boolean {
    const line = this.#line;
    this.#line = "";
    if (!line.endsWith("\r\n")) throw new InvalidResponse("a line of its chunked body does not end in CR LF");
    if (this.#state === "trailer") {
      this.#trailerBytes += line.length;
      if (this.#trailerBytes > this.#maxTrailerBytes) throw new InvalidResponse("its trailers are too long", true);
      return line === "\r\n";
    }
    if (this.#state === "data end") {
      if (line !== "\r\n") throw new InvalidResponse("a chunk is longer than it said");
      this.#state = "size";
      return false;
    }
    const size = /^([\da-f]{1,12})[ \t]*(?:;[^\r\n]*)?\r\n$/i.exec(line)?.[1];
    if (size === undefined) throw new InvalidResponse("a chunk's size is no number");
    this.#left = Number.parseInt(size, 16);
    this.#state = this.#left === 0 ? "trailer" : "data";
    return false;
  }
}
