import type { HeaderList } from "../../core/call.ts";

/** A function's answer is no HTTP response. */
export class InvalidResponse extends Error {
  override readonly name = "InvalidResponse";
  /** Its headers are over the limit. */
  readonly headTooLong: boolean;

  constructor(why: string, headTooLong = false) {
    super(`the response is not valid: ${why}`);
    this.headTooLong = headTooLong;
  }
}

/** How a response's end is told. */
export type ResponseFraming = { readonly keepAlive: boolean } & (
  | { readonly kind: "length"; readonly bytes: number }
  | { readonly kind: "chunked" }
  | { readonly kind: "until close" }
);

export interface ParsedHead {
  readonly status: number;
  readonly headers: HeaderList;
  readonly framing: ResponseFraming;
}

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: [^\0\r\n]*)?$/;
const NAME = /^[!#$%&'*+\-.^_`|~\w]+$/;
// A line that is folded, or ends in a bare CR or LF, could be read in two ways.
const FORBIDDEN = /[\0\r\n]/;
const NO_BODY = new Set([204, 304]);

/** Reads a response's head, its last line end left off. @throws InvalidResponse */
export function readHead(text: string): ParsedHead {
  const [first = "", ...lines] = text.split("\r\n");
  const line = STATUS_LINE.exec(first);
  if (line === null) throw new InvalidResponse("its first line is no status line of HTTP/1");
  const status = Number(line[2]);
  if (status === 101) throw new InvalidResponse("it leaves HTTP, which nobody asked for");
  const seen = new FramingHeaders(line[1] === "1");
  const headers = lines.map((field): readonly [string, string] => {
    const colon = field.indexOf(":");
    const name = field.slice(0, Math.max(0, colon));
    const value = field.slice(colon + 1).trim();
    if (!NAME.test(name) || FORBIDDEN.test(value)) throw new InvalidResponse("it has a line that is no header");
    seen.look(name, value);
    return [name, value];
  });
  return { status, headers, framing: seen.framing(status) };
}

/** The headers that say where a response ends, and whether another may follow it. */
class FramingHeaders {
  #keepAlive: boolean;
  #length: number | undefined;
  #encoding: string | undefined;

  constructor(keepAlive: boolean) {
    this.#keepAlive = keepAlive;
  }

  look(name: string, value: string): void {
    // Most are of other lengths.
    if (name.length === 10 && name.toLowerCase() === "connection") this.#connection(value.toLowerCase());
    else if (name.length === 14 && name.toLowerCase() === "content-length") this.#contentLength(value);
    else if (name.length === 17 && name.toLowerCase() === "transfer-encoding") this.#transferEncoding(value);
    else if (name.length === 10 && name.toLowerCase() === "keep-alive") this.#hint(value);
  }

  framing(status: number): ResponseFraming {
    const keepAlive = this.#keepAlive;
    if (this.#encoding !== undefined && this.#length !== undefined)
      throw new InvalidResponse("it has both Content-Length and Transfer-Encoding");
    if (NO_BODY.has(status)) return { kind: "length", bytes: 0, keepAlive };
    if (this.#encoding !== undefined) return { kind: "chunked", keepAlive };
    if (this.#length !== undefined) return { kind: "length", bytes: this.#length, keepAlive };
    return { kind: "until close", keepAlive: false };
  }

  #connection(value: string): void {
    if (value === "keep-alive") this.#keepAlive = true;
    else if (value.split(",").some((token) => token.trim() === "close")) this.#keepAlive = false;
  }

  #contentLength(value: string): void {
    const length = /^\d{1,15}$/.test(value) ? Number(value) : undefined;
    if (length === undefined || this.#length !== undefined)
      throw new InvalidResponse("its Content-Length is not one number");
    this.#length = length;
  }

  #transferEncoding(value: string): void {
    if (this.#encoding !== undefined || value.toLowerCase() !== "chunked")
      throw new InvalidResponse(`its Transfer-Encoding is not "chunked"`);
    this.#encoding = value;
  }

  /** A function that keeps connections hardly longer than we do would close one under a call. */
  #hint(value: string): void {
    const seconds = /(?:^|[,;\s])timeout=(\d+)/i.exec(value)?.[1];
    if (seconds !== undefined && Number(seconds) < 3) this.#keepAlive = false;
  }
}
