import { CallError } from "../../core/call-error.ts";
import type { HeaderList } from "../../core/call.ts";
import type { FrameFormat } from "../../core/connect/decode-frames.ts";
import { isErrorCode, type ErrorCode } from "../../core/error-codes.ts";
import type { ProtobufReader } from "../../core/protobuf/reader.ts";
import {
  NO_CAPACITY,
  NO_TIMINGS,
  type CallNumber,
  type Capacity,
  type Finish,
  type RefusalScope,
  type ResponseHead,
  type RunnerFrame,
  type RunnerHello,
  type Timings,
} from "../../core/session/frames.ts";

/**
 * How to read the frames of an `EngageResponse`: what `fromResponse` makes of the generated code's message, a small answer
 * in 2.4 µs instead of 6.4. Field numbers are those of `proto/kiln/runner/v1/runner.proto`.
 * @throws ProtocolError for a frame this gateway does not know, MalformedMessage
 */
export const RUNNER_FRAMES: FrameFormat<RunnerFrame> = {
  lastField: 11,
  dataField: 7,
  read: frameOf,
  unknown: "Runner sent a frame this gateway does not know: it speaks a newer protocol",
};

function frameOf(field: number, call: CallNumber, reader: ProtobufReader): RunnerFrame {
  switch (field) {
    case 2:
      return { type: "hello", hello: hello(reader) };
    case 3:
      return refused(call, reader);
    case 4:
      return { type: "pending", call, phase: onlyString(reader) };
    case 5:
      return { type: "accepted", call, containerId: onlyString(reader) };
    case 6:
      return { type: "head", call, head: head(reader) };
    case 7:
      return data(call, reader);
    case 8:
      return { type: "credit", call, bytes: onlyUint(reader) };
    case 9:
      return { type: "finished", call, finish: finish(reader) };
    case 10:
      return { type: "capacity", capacity: capacity(reader) };
    default:
      onlyUint(reader);
      return { type: "draining" };
  }
}

function hello(reader: ProtobufReader): RunnerHello {
  const read = { runnerId: "", bootId: "", version: "" };
  let isolation: RunnerHello["isolation"] = "none";
  let free: Capacity = NO_CAPACITY;
  for (let field = reader.field(); field !== 0; field = reader.field()) {
    if (field === 1) read.runnerId = reader.string();
    else if (field === 2) read.bootId = reader.string();
    else if (field === 3) read.version = reader.string();
    // What is not known to isolate does not.
    else if (field === 4) isolation = reader.uint32() === 2 ? "container" : "none";
    else if (field === 5) free = reader.nested(capacity) ?? free;
    else reader.skip();
  }
  return { ...read, isolation, capacity: free };
}

function refused(call: CallNumber, reader: ProtobufReader): RunnerFrame {
  let code = "";
  let message = "";
  let scope: RefusalScope = "this_runner";
  for (let field = reader.field(); field !== 0; field = reader.field()) {
    if (field === 1) code = reader.string();
    else if (field === 2) message = reader.string();
    else if (field === 3) scope = reader.uint32() === 2 ? "any_runner" : "this_runner";
    else reader.skip();
  }
  return { type: "refused", call, code: errorCode(code), message, scope };
}

function head(reader: ProtobufReader): ResponseHead {
  let status = 0;
  const headers: (readonly [string, string])[] = [];
  for (let field = reader.field(); field !== 0; field = reader.field()) {
    if (field === 1) status = reader.uint32();
    else if (field === 2) headers.push(reader.nested(header) ?? ["", ""]);
    else reader.skip();
  }
  return { status, headers };
}

function header(reader: ProtobufReader): HeaderList[number] {
  let name = "";
  let value = "";
  for (let field = reader.field(); field !== 0; field = reader.field()) {
    if (field === 1) name = reader.string();
    else if (field === 2) value = reader.string();
    else reader.skip();
  }
  return [name, value];
}

function data(call: CallNumber, reader: ProtobufReader): RunnerFrame {
  let bytes: Uint8Array = NOTHING;
  for (let field = reader.field(); field !== 0; field = reader.field()) {
    if (field === 1) bytes = reader.bytes();
    else reader.skip();
  }
  // A response's body ends with `finished`.
  return { type: "data", call, bytes, end: false };
}

function finish(reader: ProtobufReader): Finish {
  let code = "";
  let message = "";
  let status = 0;
  let stderrTail = "";
  let times = NO_TIMINGS;
  for (let field = reader.field(); field !== 0; field = reader.field()) {
    if (field === 1) code = reader.string();
    else if (field === 2) message = reader.string();
    else if (field === 3) status = reader.uint32();
    else if (field === 4) stderrTail = reader.string();
    else if (field === 5) times = reader.nested(timings) ?? times;
    else reader.skip();
  }
  if (code === "") return { ok: true, timings: times };
  const told = status === 0 ? undefined : status;
  return { ok: false, timings: times, code: errorCode(code), message, status: told, stderrTail };
}

function timings(reader: ProtobufReader): Timings {
  const micros = [0, 0, 0, 0, 0, 0];
  for (let field = reader.field(); field !== 0; field = reader.field()) {
    if (field <= 5) micros[field] = reader.uint();
    else reader.skip();
  }
  const [, waitUs = 0, pullUs = 0, startUs = 0, initUs = 0, runUs = 0] = micros;
  return {
    waitMs: waitUs / 1_000,
    pullMs: pullUs / 1_000,
    startMs: startUs / 1_000,
    initMs: initUs / 1_000,
    runMs: runUs / 1_000,
  };
}

function capacity(reader: ProtobufReader): Capacity {
  const idle: Record<string, number> = {};
  const spareSlots: Record<string, number> = {};
  const read = { ...NO_CAPACITY, idle, spareSlots };
  for (let field = reader.field(); field !== 0; field = reader.field()) {
    if (field === 1) read.freeMemoryMiB = reader.uint32();
    else if (field === 2) read.freeCpuMillis = reader.uint32();
    else if (field === 3) reader.entry(idle, uint32, 0);
    else if (field === 4) read.totalMemoryMiB = reader.uint32();
    else if (field === 5) read.totalCpuMillis = reader.uint32();
    else if (field === 6) reader.entry(spareSlots, uint32, 0);
    else if (field === 7) read.starting = reader.uint32();
    else if (field === 8) read.waiting = reader.uint32();
    else if (field === 9) read.running = reader.uint32();
    else reader.skip();
  }
  return read;
}

function uint32(reader: ProtobufReader): number {
  return reader.uint32();
}

/** The field 1 of a message that has no other. */
function onlyString(reader: ProtobufReader): string {
  let text = "";
  for (let field = reader.field(); field !== 0; field = reader.field()) {
    if (field === 1) text = reader.string();
    else reader.skip();
  }
  return text;
}

function onlyUint(reader: ProtobufReader): number {
  let value = 0;
  for (let field = reader.field(); field !== 0; field = reader.field()) {
    if (field === 1) value = reader.uint32();
    else reader.skip();
  }
  return value;
}

const NOTHING = new Uint8Array();

/** A newer runner may know codes that this gateway does not. */
export function errorCode(code: string): ErrorCode {
  return isErrorCode(code) ? code : new CallError("runner_internal").code;
}
