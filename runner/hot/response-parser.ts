import { Buffer } from "node:buffer";

import type { HeaderList } from "../../core/call.ts";
import { ChunkedBody } from "./chunked-body.ts";
import { InvalidResponse, readHead, type ResponseFraming } from "./response-head.ts";

/** What a parser tells of one response, in this order; nothing after `complete`. */
export interface ResponseEvents {
  head(status: number, headers: HeaderList): void;
  /** A view of what was read, which the next read overwrites. */
  body(bytes: Buffer): void;
  /** @param reusable - whether the connection may carry another exchange */
  complete(reusable: boolean): void;
}

/** Reads the HTTP/1.1 response to one POST, from as many pieces as it comes in. Strict: what is doubtful is an error. */
export class ResponseParser {
  readonly #events: ResponseEvents;
  readonly #maxHeadBytes: number;
  /** Of a head that has not come whole. */
  #head: Buffer | undefined;
  #framing: ResponseFraming | undefined;
  #left = 0;
  #chunked: ChunkedBody | undefined;
  #complete = false;

  constructor(maxHeadBytes: number, events: ResponseEvents) {
    this.#maxHeadBytes = maxHeadBytes;
    this.#events = events;
  }

  /** @throws InvalidResponse */
  push(bytes: Buffer): void {
    let rest = bytes;
    while (rest.length > 0 && !this.#complete) {
      rest = this.#framing === undefined ? this.#readHead(rest) : this.#readBody(rest, this.#framing);
    }
    if (rest.length > 0) throw new InvalidResponse("it goes on after its end");
  }

  /** The other side has closed. @throws Error in the middle of a response */
  end(): void {
    if (this.#complete) return;
    if (this.#framing?.kind !== "until close") throw new Error("it was closed before the answer was complete");
    this.#finish(false);
  }

  /** Returns what follows the head. */
  #readHead(bytes: Buffer): Buffer {
    const before = this.#head?.length ?? 0;
    const all = this.#head === undefined ? bytes : Buffer.concat([this.#head, bytes]);
    const end = all.indexOf("\r\n\r\n", Math.max(0, before - 3), "latin1");
    if ((end < 0 ? all.length : end) > this.#maxHeadBytes) throw new InvalidResponse("its headers are too long", true);
    if (end < 0) {
      this.#head = this.#head === undefined ? Buffer.from(bytes) : all;
      return bytes.subarray(bytes.length);
    }
    this.#head = undefined;
    const { status, headers, framing } = readHead(all.toString("latin1", 0, end));
    const rest = all.subarray(end + 4);
    // An informational answer announces the real one.
    if (status < 200) return rest;
    this.#framing = framing;
    this.#events.head(status, headers);
    if (framing.kind === "length") this.#left = framing.bytes;
    if (framing.kind === "chunked")
      this.#chunked = new ChunkedBody(this.#maxHeadBytes, (piece) => this.#events.body(piece));
    if (framing.kind === "length" && framing.bytes === 0) this.#finish(rest.length === 0 && framing.keepAlive);
    return rest;
  }

  /** Returns what follows the body. */
  #readBody(bytes: Buffer, framing: ResponseFraming): Buffer {
    if (framing.kind === "until close") {
      this.#events.body(bytes);
      return bytes.subarray(bytes.length);
    }
    if (framing.kind === "chunked") {
      const rest = this.#chunked?.push(bytes);
      if (rest === undefined) return bytes.subarray(bytes.length);
      this.#finish(rest.length === 0 && framing.keepAlive);
      return rest;
    }
    const size = Math.min(this.#left, bytes.length);
    this.#left -= size;
    this.#events.body(bytes.length === size ? bytes : bytes.subarray(0, size));
    if (this.#left === 0) this.#finish(bytes.length === size && framing.keepAlive);
    return bytes.subarray(size);
  }

  #finish(reusable: boolean): void {
    this.#complete = true;
    this.#events.complete(reusable);
  }
}
