import { Buffer, isUtf8 } from "node:buffer";

/** The bytes are no protobuf message. */
export class MalformedMessage extends Error {
  override readonly name = "MalformedMessage";
}

const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;
const LONGEST_VARINT = 10;

/** Reads protobuf's binary format, field by field: knows no message. What a field's reader does not take is skipped. */
export class ProtobufReader {
  readonly #bytes: Buffer;
  #at: number;
  #end: number;
  #wireType = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = 0;
    this.#end = this.#bytes.length;
  }

  /** The number of the next field, or 0 at the end of the message. @throws MalformedMessage */
  field(): number {
    if (this.#at >= this.#end) return 0;
    const tag = this.#varint();
    this.#wireType = tag & 7;
    const field = Math.floor(tag / 8);
    if (field === 0) throw new MalformedMessage("A field has the number 0");
    return field;
  }

  /** How far it has read. */
  get at(): number {
    return this.#at;
  }

  /** How long the value of this field is, which may go on beyond what is here; -1 where it has no length. */
  length(): number {
    return this.#wireType === LENGTH_DELIMITED ? this.#varint() : -1;
  }

  /** Of a `uint64` what a number holds exactly. */
  uint(): number {
    return this.#is(VARINT) ? this.#varint() : 0;
  }

  uint32(): number {
    return this.uint() % 0x1_0000_0000;
  }

  bool(): boolean {
    return this.uint() !== 0;
  }

  string(): string {
    if (!this.#is(LENGTH_DELIMITED)) return "";
    const end = this.#lengthEnd();
    const text = this.#bytes.toString("utf8", this.#at, end);
    if (text.includes("\ufffd") && !isUtf8(this.#bytes.subarray(this.#at, end))) {
      throw new MalformedMessage("A text is not UTF-8");
    }
    this.#at = end;
    return text;
  }

  /** A view: it stays true for as long as nobody writes over the message. */
  bytes(): Uint8Array {
    if (!this.#is(LENGTH_DELIMITED)) return this.#bytes.subarray(0, 0);
    const end = this.#lengthEnd();
    const part = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return part;
  }

  /** Reads a nested message with `read`, which calls `field` until it is 0; undefined where the field is none. */
  nested<T>(read: (reader: ProtobufReader) => T): T | undefined {
    if (!this.#is(LENGTH_DELIMITED)) return undefined;
    const end = this.#lengthEnd();
    const outer = this.#end;
    this.#end = end;
    const value = read(this);
    this.#at = end;
    this.#end = outer;
    return value;
  }

  /** An entry of a map, put into `into`. */
  entry<T>(into: Record<string, T>, readValue: (reader: ProtobufReader) => T, absent: T): void {
    if (!this.#is(LENGTH_DELIMITED)) return;
    const outer = this.#end;
    this.#end = this.#lengthEnd();
    let key = "";
    let value = absent;
    for (let field = this.field(); field !== 0; field = this.field()) {
      if (field === 1) key = this.string();
      else if (field === 2) value = readValue(this);
      else this.skip();
    }
    this.#end = outer;
    // As a property of its own, whatever it is called.
    if (key === "__proto__") Object.defineProperty(into, key, { value, enumerable: true });
    else into[key] = value;
  }

  /** Passes over the value of a field that nobody knows. @throws MalformedMessage */
  skip(): undefined {
    if (this.#wireType === VARINT) this.#varint();
    else if (this.#wireType === LENGTH_DELIMITED) this.#at = this.#lengthEnd();
    else if (this.#wireType === FIXED64) this.#at = this.#within(this.#at + 8);
    else if (this.#wireType === FIXED32) this.#at = this.#within(this.#at + 4);
    else throw new MalformedMessage(`A field has wire type ${this.#wireType}`);
  }

  /** False: the field has another type than we know it with, and was passed over as an unknown one. */
  #is(wireType: number): boolean {
    if (this.#wireType === wireType) return true;
    this.skip();
    return false;
  }

  #lengthEnd(): number {
    const length = this.#varint();
    return this.#within(this.#at + length);
  }

  #within(at: number): number {
    if (at > this.#end) throw new MalformedMessage("A field is longer than its message");
    return at;
  }

  #varint(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    let value = first & 0x7f;
    let factor = 0x80;
    for (let i = 1; i < LONGEST_VARINT; i++) {
      const byte = this.#byte();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
      factor *= 0x80;
    }
    throw new MalformedMessage("A number is longer than 10 bytes");
  }

  #byte(): number {
    if (this.#at >= this.#end) throw new MalformedMessage("The message ends within a field");
    return this.#bytes[this.#at++] ?? 0;
  }
}
