import type { Call } from "../../core/call.ts";
import type { ProtobufWriter } from "../../core/protobuf/writer.ts";
import type { GatewayFrame, OfferedCall } from "../../core/session/frames.ts";

/** Bytes of an offer beside its body and its headers, about. */
const OFFER_BYTES = 600;

/**
 * Writes an `EngageRequest`, byte for byte as the generated code does: an offer in 1.6 µs where that takes 17.6.
 * Field numbers are those of `proto/kiln/runner/v1/runner.proto`.
 */
export function encodeFrames(writer: ProtobufWriter, frames: readonly GatewayFrame[]): void {
  for (const frame of frames) {
    const start = writer.open(1, frame.type === "data" ? frame.bytes.length : 0);
    encodeFrame(writer, frame);
    writer.close(start);
  }
}

function encodeFrame(writer: ProtobufWriter, frame: GatewayFrame): void {
  if (frame.type !== "hello") writer.uint(1, frame.call);
  switch (frame.type) {
    case "hello": {
      const hello = writer.open(2);
      writer.string(1, frame.gatewayId);
      writer.string(2, frame.version);
      return writer.close(hello);
    }
    case "offer":
      return encodeOffer(writer, frame.offer);
    case "start":
      return writer.close(writer.open(4));
    case "data": {
      const data = writer.open(5, frame.bytes.length);
      writer.bytes(1, frame.bytes);
      writer.bool(2, frame.end);
      return writer.close(data);
    }
    case "credit": {
      const credit = writer.open(6);
      writer.uint(1, frame.bytes);
      return writer.close(credit);
    }
    case "cancel": {
      const cancel = writer.open(7);
      writer.string(1, frame.code);
      return writer.close(cancel);
    }
  }
}

function encodeOffer(writer: ProtobufWriter, offer: OfferedCall): void {
  const start = writer.open(3, OFFER_BYTES + offer.body.length);
  const call = writer.open(1, OFFER_BYTES);
  encodeCall(writer, offer.call, offer.remainingMs);
  writer.close(call);
  writer.bytes(2, offer.body);
  writer.bool(3, offer.end);
  writer.uint(4, offer.responseCredit);
  writer.string(5, offer.affinityKey);
  writer.close(start);
}

function encodeCall(writer: ProtobufWriter, call: Call, remainingMs: number): void {
  writer.string(1, call.id);
  writer.uint(2, call.type === "detached" ? 2 : 1);
  writer.string(3, call.appId);
  writer.string(4, call.appName);
  writer.string(5, call.fnId);
  writer.string(6, call.fnName);
  writer.string(7, call.image);
  writer.uint(8, call.memoryMiB);
  writer.uint(9, call.cpuMillis);
  writer.uint(10, call.tmpfsMiB);
  writer.uint(11, call.timeoutMs);
  writer.uint(12, call.idleTimeoutMs);
  writer.uint(13, wireRemainingMs(remainingMs));
  writer.map(14, call.config);
  for (const key in call.annotations) {
    const entry = writer.open(15);
    writer.stringAlways(1, key);
    writer.stringAlways(2, JSON.stringify(call.annotations[key]));
    writer.close(entry);
  }
  writer.string(16, call.syslogUrl);
  writer.bool(17, call.networkDisabled);
  writer.uint(18, call.onCancel === "finish" ? 2 : 1);
  writer.string(19, call.method);
  writer.string(20, call.url);
  for (const [name, value] of call.headers) {
    const header = writer.open(21);
    writer.string(1, name);
    writer.string(2, value);
    writer.close(header);
  }
  writer.map(22, call.extensions);
  writer.map(23, call.callExtensions);
  writer.string(24, call.registryToken);
  writer.uint(25, call.concurrency);
  writer.uint(26, call.minContainers);
  writer.uint(27, call.maxContainers);
  writer.uint(28, call.maxCalls);
}

/** 0 says that there is no deadline, so a call that has run out of time still says 1. */
export function wireRemainingMs(remainingMs: number): number {
  return Number.isFinite(remainingMs) ? Math.min(Math.max(1, Math.ceil(remainingMs)), 0xffff_ffff) : 0;
}
