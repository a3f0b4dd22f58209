import { Buffer } from "node:buffer";

const FIRST_BYTES = 16 * 1024;
/** What is kept from one message to the next; a larger one gives its memory back. */
const MOST_KEPT_BYTES = 256 * 1024;
/** Longer text is left to the platform, whose call costs more than writing a few characters. */
const SHORT_TEXT = 24;

/** What has so many bytes is not copied: it goes out from where it is, and must not change until it has. */
const LEFT_IN_PLACE_BYTES = 4 * 1024;

/** Bytes of the message that are not in the writer's own buffer. */
interface Elsewhere {
  /** Where in that buffer they belong. */
  at: number;
  readonly bytes: Uint8Array;
}

/** The end of a nested message, which `close` needs. */
export type Nested = number;

/**
 * Writes protobuf's binary format as protobuf-es does, byte for byte: fields in the order they are given, those with
 * their default value left out. Knows no message; who uses it writes fields by number, least first.
 */
export class ProtobufWriter {
  #buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #at = 0;
  #elsewhere: Elsewhere[] = [];

  /** A `uint32`, or a `uint64` below 2^53. */
  uint(field: number, value: number): void {
    if (value !== 0) this.uintAlways(field, value);
  }

  uintAlways(field: number, value: number): void {
    this.#room(16);
    this.#tag(field, 0);
    this.#varint(value);
  }

  bool(field: number, value: boolean): void {
    if (value) this.uint(field, 1);
  }

  string(field: number, text: string): void {
    if (text !== "") this.stringAlways(field, text);
  }

  /** With its default value too, as the entries of maps are written. */
  stringAlways(field: number, text: string): void {
    this.#room(text.length * 3 + 16);
    this.#tag(field, 2);
    if (text.length <= SHORT_TEXT && this.#ascii(text)) return;
    const nested = this.#reserve(text.length);
    this.#at += this.#buffer.write(text, this.#at, "utf8");
    this.close(nested);
  }

  bytes(field: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const inPlace = bytes.length >= LEFT_IN_PLACE_BYTES;
    this.#room(16 + (inPlace ? 0 : bytes.length));
    this.#tag(field, 2);
    this.#varint(bytes.length);
    if (inPlace) {
      this.#elsewhere.push({ at: this.#at, bytes });
      return;
    }
    this.#buffer.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  map(field: number, entries: Readonly<Record<string, string>>): void {
    for (const key in entries) {
      const nested = this.open(field);
      this.stringAlways(1, key);
      this.stringAlways(2, entries[key] ?? "");
      this.close(nested);
    }
  }

  /** Begins a nested message, of about so many bytes. */
  open(field: number, about = 0): Nested {
    this.#room(16);
    this.#tag(field, 2);
    return this.#reserve(about);
  }

  /** Ends a nested message: its length is written before it. */
  close(start: Nested): void {
    const reserved = this.#buffer[start - 1] ?? 0;
    const here = this.#at - start;
    let length = here;
    for (const part of this.#elsewhere) if (part.at >= start) length += part.bytes.length;
    const needed = varintBytes(length);
    const at = start - reserved;
    if (needed !== reserved) {
      this.#room(8);
      this.#buffer.copyWithin(at + needed, start, this.#at);
      for (const part of this.#elsewhere) if (part.at >= start) part.at += needed - reserved;
    }
    this.#at = at;
    this.#varint(length);
    this.#at += here;
  }

  /**
   * All that was written, in the pieces it lies in, after `headBytes` that are left free in the first; the writer begins
   * anew.
   */
  finish(headBytes: number): [Buffer, ...Uint8Array[]] {
    const own = Buffer.allocUnsafe(headBytes + this.#at);
    this.#buffer.copy(own, headBytes, 0, this.#at);
    const [first, ...more] = this.#elsewhere;
    this.#elsewhere = [];
    this.#at = 0;
    if (this.#buffer.length > MOST_KEPT_BYTES) this.#buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
    if (first === undefined) return [own];
    let from = headBytes + first.at;
    const pieces: [Buffer, ...Uint8Array[]] = [own.subarray(0, from), first.bytes];
    for (const { at, bytes } of more) {
      pieces.push(own.subarray(from, headBytes + at), bytes);
      from = headBytes + at;
    }
    if (from < own.length) pieces.push(own.subarray(from));
    return pieces;
  }

  /** Leaves room for a length of about this, and notes in it how much was left. */
  #reserve(about: number): Nested {
    const bytes = varintBytes(about);
    this.#at += bytes;
    this.#buffer[this.#at - 1] = bytes;
    return this.#at;
  }

  /** False: the text has other characters, and nothing was written. */
  #ascii(text: string): boolean {
    const { length } = text;
    const at = this.#at + 1;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) return false;
      this.#buffer[at + i] = code;
    }
    this.#buffer[this.#at] = length;
    this.#at = at + length;
    return true;
  }

  #tag(field: number, wireType: number): void {
    this.#varint(field * 8 + wireType);
  }

  #varint(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.#buffer[this.#at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#at++] = rest;
  }

  #room(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 0x80)) bytes += 1;
  return bytes;
}
