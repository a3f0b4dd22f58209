import type { Call, CallId, HeaderList } from "../../core/call.ts";
import type { FrameFormat } from "../../core/connect/decode-frames.ts";
import { isErrorCode } from "../../core/error-codes.ts";
import { DEFAULTS } from "../../core/function-spec.ts";
import type { ProtobufReader } from "../../core/protobuf/reader.ts";
import type { CallNumber, GatewayFrame, OfferedCall } from "../../core/session/frames.ts";
import { ProtocolError } from "../../core/session/protocol-error.ts";
import { annotation } from "./annotation.ts";

/**
 * How to read the frames of an `EngageRequest`: what `fromRequest` makes of the generated code's message, an offer in
 * 4.6 µs instead of 11.9. Field numbers are those of `proto/kiln/runner/v1/runner.proto`.
 * @throws ProtocolError for a frame this runner does not know, MalformedMessage
 */
export const GATEWAY_FRAMES: FrameFormat<GatewayFrame> = {
  lastField: 7,
  dataField: 5,
  read: frameOf,
  unknown: "Gateway sent a frame this runner does not know: it speaks a newer protocol",
};

function frameOf(field: number, call: CallNumber, reader: ProtobufReader): GatewayFrame {
  switch (field) {
    case 2:
      return hello(reader);
    case 3:
      return { type: "offer", call, offer: offer(reader) };
    case 4:
      only(reader, () => 0, 0);
      return { type: "start", call };
    case 5:
      return data(call, reader);
    case 6:
      return { type: "credit", call, bytes: only(reader, (value) => value.uint32(), 0) };
    default: {
      const code = only(reader, (value) => value.string(), "");
      return { type: "cancel", call, code: isErrorCode(code) ? code : "client_cancel" };
    }
  }
}

function hello(reader: ProtobufReader): GatewayFrame {
  let gatewayId = "";
  let version = "";
  for (let field = reader.field(); field !== 0; field = reader.field()) {
    if (field === 1) gatewayId = reader.string();
    else if (field === 2) version = reader.string();
    else reader.skip();
  }
  return { type: "hello", gatewayId, version };
}

function data(call: CallNumber, reader: ProtobufReader): GatewayFrame {
  let bytes: Uint8Array = NOTHING;
  let end = false;
  for (let field = reader.field(); field !== 0; field = reader.field()) {
    if (field === 1) bytes = reader.bytes();
    else if (field === 2) end = reader.bool();
    else reader.skip();
  }
  return { type: "data", call, bytes, end };
}

function offer(reader: ProtobufReader): OfferedCall {
  let asked: AskedCall | undefined;
  let body: Uint8Array = NOTHING;
  let end = false;
  let responseCredit = 0;
  let affinityKey = "";
  for (let field = reader.field(); field !== 0; field = reader.field()) {
    if (field === 1) asked = reader.nested(askedCall) ?? asked;
    else if (field === 2) body = reader.bytes();
    else if (field === 3) end = reader.bool();
    else if (field === 4) responseCredit = reader.uint32();
    else if (field === 5) affinityKey = reader.string();
    else reader.skip();
  }
  if (asked === undefined) throw new ProtocolError("Gateway sent an offer without its call");
  const { call, remainingMs } = asked;
  return { call, remainingMs: remainingMs === 0 ? Infinity : remainingMs, body, end, responseCredit, affinityKey };
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

interface AskedCall {
  readonly call: Call;
  readonly remainingMs: number;
}

function askedCall(reader: ProtobufReader): AskedCall {
  const headers: (readonly [string, string])[] = [];
  const config: Record<string, string> = {};
  const annotations: Record<string, ReturnType<typeof annotation>> = {};
  const extensions: Record<string, string> = {};
  const callExtensions: Record<string, string> = {};
  let remainingMs = 0;
  const call: Mutable<Call> = {
    // Checked with every other field, by the runner.
    id: "" as CallId,
    type: "sync",
    appId: "",
    appName: "",
    fnId: "",
    fnName: "",
    image: "",
    memoryMiB: 0,
    cpuMillis: 0,
    tmpfsMiB: 0,
    timeoutMs: 0,
    idleTimeoutMs: 0,
    // A gateway that does not know it says nothing.
    concurrency: DEFAULTS.concurrency,
    maxCalls: 0,
    minContainers: 0,
    maxContainers: 0,
    config,
    annotations,
    syslogUrl: "",
    networkDisabled: false,
    onCancel: "kill",
    // Whether to try again is the gateway's to decide.
    idempotent: false,
    method: "",
    url: "",
    headers,
    extensions,
    callExtensions,
    registryToken: "",
  };
  for (let field = reader.field(); field !== 0; field = reader.field()) {
    switch (field) {
      case 1:
        call.id = reader.string() as CallId;
        break;
      case 2:
        call.type = reader.uint32() === 2 ? "detached" : "sync";
        break;
      case 3:
        call.appId = reader.string();
        break;
      case 4:
        call.appName = reader.string();
        break;
      case 5:
        call.fnId = reader.string();
        break;
      case 6:
        call.fnName = reader.string();
        break;
      case 7:
        call.image = reader.string();
        break;
      case 8:
        call.memoryMiB = reader.uint32();
        break;
      case 9:
        call.cpuMillis = reader.uint32();
        break;
      case 10:
        call.tmpfsMiB = reader.uint32();
        break;
      case 11:
        call.timeoutMs = reader.uint32();
        break;
      case 12:
        call.idleTimeoutMs = reader.uint32();
        break;
      case 13:
        remainingMs = reader.uint32();
        break;
      case 14:
        reader.entry(config, string, "");
        break;
      case 15:
        reader.entry(annotations, (value) => annotation(value.string()), null);
        break;
      case 16:
        call.syslogUrl = reader.string();
        break;
      case 17:
        call.networkDisabled = reader.bool();
        break;
      case 18:
        call.onCancel = reader.uint32() === 2 ? "finish" : "kill";
        break;
      case 19:
        call.method = reader.string();
        break;
      case 20:
        call.url = reader.string();
        break;
      case 21:
        headers.push(reader.nested(header) ?? ["", ""]);
        break;
      case 22:
        reader.entry(extensions, string, "");
        break;
      case 23:
        reader.entry(callExtensions, string, "");
        break;
      case 24:
        call.registryToken = reader.string();
        break;
      case 25:
        call.concurrency = reader.uint32() || DEFAULTS.concurrency;
        break;
      case 26:
        call.minContainers = reader.uint32();
        break;
      case 27:
        call.maxContainers = reader.uint32();
        break;
      case 28:
        call.maxCalls = reader.uint32();
        break;
      default:
        reader.skip();
    }
  }
  return { call, remainingMs };
}

function string(reader: ProtobufReader): string {
  return reader.string();
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

/** The field 1 of a message that has no other. */
function only<T>(reader: ProtobufReader, read: (reader: ProtobufReader) => T, absent: T): T {
  let value = absent;
  for (let field = reader.field(); field !== 0; field = reader.field()) {
    if (field === 1) value = read(reader);
    else reader.skip();
  }
  return value;
}

const NOTHING = new Uint8Array();
