import { Buffer } from "node:buffer";

import { MalformedMessage, ProtobufReader } from "../protobuf/reader.ts";
import type { CallNumber, DataFrame, GatewayFrame, RunnerFrame } from "../session/frames.ts";
import { ProtocolError } from "../session/protocol-error.ts";
import { Pieces } from "./pieces.ts";

/** The frames of one direction: a call's number in field 1, and one of several messages, each a field of its own. */
export interface FrameFormat<Frame extends GatewayFrame | RunnerFrame> {
  readonly lastField: number;
  /** Which of them is `Data`. */
  readonly dataField: number;
  read(field: number, call: CallNumber, reader: ProtobufReader): Frame;
  /** A sentence, for a frame that is none of them. */
  readonly unknown: string;
}

/** Longest that stands before a body's bytes: four tags, three lengths and a call's number, each of ten bytes at most. */
const DATA_START_BYTES = 80;
/** A body's piece of so many bytes is told in the pieces it came in, a smaller one in one. */
const LARGE_BYTES = 4 * 1024;

/**
 * Reads the frames of an `EngageRequest` or `EngageResponse` from the pieces it came in. Large pieces of bodies are not
 * joined: each becomes as many data frames as it came in, of views. @throws ProtocolError, MalformedMessage
 */
export function decodeFrames<Frame extends GatewayFrame | RunnerFrame>(
  message: readonly Buffer[],
  format: FrameFormat<Frame>,
): (Frame | DataFrame)[] {
  const frames: (Frame | DataFrame)[] = [];
  const [only] = message;
  if (only === undefined) return frames;
  if (message.length === 1) {
    readFrames(only, format, frames);
    return frames;
  }
  const pieces = new Pieces(message);
  while (pieces.length > 0) {
    const { frameBytes, call, bytes } = nextFrame(pieces.peek(DATA_START_BYTES), format.dataField);
    // What is cut short is for the reader to object to.
    if (bytes < LARGE_BYTES || frameBytes > pieces.length) {
      const taken = pieces.take(frameBytes);
      if (taken.length === 0) throw new MalformedMessage("A frame has no bytes");
      readFrames(joined(taken), format, frames);
      continue;
    }
    pieces.take(frameBytes - bytes);
    for (const piece of pieces.take(bytes)) frames.push({ type: "data", call, bytes: piece, end: false });
  }
  return frames;
}

/**
 * What begins here: a frame of so many bytes, all of the rest where it is no frame. `bytes` is how many of a body end
 * it, 0 where it is another frame, or written in another way than ours.
 */
function nextFrame(start: Buffer, dataField: number): { frameBytes: number; call: CallNumber; bytes: number } {
  const reader = new ProtobufReader(start);
  if (reader.field() !== 1) return { frameBytes: Infinity, call: 0, bytes: 0 };
  const length = reader.length();
  // A field 1 of another type than ours is for the reader to pass over.
  if (length < 0) return { frameBytes: Infinity, call: 0, bytes: 0 };
  const frameBytes = reader.at + length;
  const other = { frameBytes, call: 0, bytes: 0 };
  if (length < LARGE_BYTES || reader.field() !== 1 || reader.length() >= 0) return other;
  const call = reader.uint32();
  if (reader.field() !== dataField || reader.length() + reader.at !== frameBytes || reader.field() !== 1) return other;
  const bytes = reader.length();
  return reader.at + bytes === frameBytes ? { frameBytes, call, bytes } : other;
}

function readFrames<Frame extends GatewayFrame | RunnerFrame>(
  bytes: Buffer,
  format: FrameFormat<Frame>,
  into: (Frame | DataFrame)[],
): void {
  const reader = new ProtobufReader(bytes);
  const frame = () => readFrame(reader, format);
  for (let field = reader.field(); field !== 0; field = reader.field()) {
    const one = field === 1 ? reader.nested(frame) : reader.skip();
    if (one !== undefined) into.push(one);
  }
}

function readFrame<Frame extends GatewayFrame | RunnerFrame>(
  reader: ProtobufReader,
  { lastField, read, unknown }: FrameFormat<Frame>,
): Frame {
  let call = 0;
  let frame: Frame | undefined;
  for (let field = reader.field(); field !== 0; field = reader.field()) {
    if (field === 1) call = reader.uint32();
    else if (field <= lastField) frame = reader.nested((nested) => read(field, call, nested)) ?? frame;
    else reader.skip();
  }
  if (frame === undefined) throw new ProtocolError(unknown);
  // The number is written first; who writes it last is understood too.
  return "call" in frame && frame.call !== call ? { ...frame, call } : frame;
}

function joined(pieces: readonly Buffer[]): Buffer {
  const [only] = pieces;
  return only !== undefined && pieces.length === 1 ? only : Buffer.concat(pieces);
}
