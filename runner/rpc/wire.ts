import { create } from "@bufbuild/protobuf";

import type { Call, CallId, HeaderList } from "../../core/call.ts";
import { isErrorCode } from "../../core/error-codes.ts";
import { DEFAULTS } from "../../core/function-spec.ts";
import type {
  Capacity,
  Finish,
  GatewayFrame,
  Isolation,
  OfferedCall,
  RunnerFrame,
  RunnerHello,
  Timings,
} from "../../core/session/frames.ts";
import { ProtocolError } from "../../core/session/protocol-error.ts";
import * as pb from "../../gen/kiln/runner/v1/runner_pb.ts";
import { annotation } from "./annotation.ts";

/** Our frames as the message that carries them. */
export function toResponse(frames: readonly RunnerFrame[]): pb.EngageResponse {
  return create(pb.EngageResponseSchema, { frames: frames.map(toFrame) });
}

/** The frames of a gateway's message. @throws ProtocolError for a frame this runner does not know */
export function fromRequest(message: pb.EngageRequest): GatewayFrame[] {
  return message.frames.map(fromFrame);
}

export function fromCall(call: pb.Call): Call {
  return {
    // Checked with every other field, by the runner.
    id: call.id as CallId,
    type: call.type === pb.CallType.DETACHED ? "detached" : "sync",
    appId: call.appId,
    appName: call.appName,
    fnId: call.fnId,
    fnName: call.fnName,
    image: call.image,
    memoryMiB: call.memoryMib,
    cpuMillis: call.cpuMillis,
    tmpfsMiB: call.tmpfsMib,
    timeoutMs: call.timeoutMs,
    idleTimeoutMs: call.idleTimeoutMs,
    // A gateway that does not know it says nothing.
    concurrency: call.concurrency || DEFAULTS.concurrency,
    maxCalls: call.maxCalls,
    minContainers: call.minContainers,
    maxContainers: call.maxContainers,
    config: call.config,
    annotations: Object.fromEntries(Object.entries(call.annotations).map(([key, text]) => [key, annotation(text)])),
    syslogUrl: call.syslogUrl,
    networkDisabled: call.networkDisabled,
    onCancel: call.onCancel === pb.OnCancel.FINISH ? "finish" : "kill",
    // Whether to try again is the gateway's to decide.
    idempotent: false,
    method: call.method,
    url: call.url,
    headers: call.headers.map(({ name, value }) => [name, value]),
    extensions: call.extensions,
    callExtensions: call.callExtensions,
    registryToken: call.registryToken,
  };
}

export function remainingMs(call: pb.Call): number {
  return call.remainingMs === 0 ? Infinity : call.remainingMs;
}

export function toHeaders(list: HeaderList): pb.Header[] {
  return list.map(([name, value]) => create(pb.HeaderSchema, { name, value }));
}

export function toCapacity(capacity: Capacity): pb.Capacity {
  return create(pb.CapacitySchema, {
    freeMemoryMib: capacity.freeMemoryMiB,
    freeCpuMillis: capacity.freeCpuMillis,
    totalMemoryMib: capacity.totalMemoryMiB,
    totalCpuMillis: capacity.totalCpuMillis,
    idle: { ...capacity.idle },
    spareSlots: { ...capacity.spareSlots },
    starting: capacity.starting,
    waiting: capacity.waiting,
    running: capacity.running,
  });
}

export function toIsolation(isolation: Isolation): pb.Isolation {
  return isolation === "container" ? pb.Isolation.CONTAINER : pb.Isolation.NONE;
}

export function toTimings(timings: Timings): pb.Timings {
  return create(pb.TimingsSchema, {
    waitUs: micros(timings.waitMs),
    pullUs: micros(timings.pullMs),
    startUs: micros(timings.startMs),
    initUs: micros(timings.initMs),
    runUs: micros(timings.runMs),
  });
}

function toFrame(frame: RunnerFrame): pb.RunnerFrame {
  switch (frame.type) {
    case "hello":
      return create(pb.RunnerFrameSchema, { frame: { case: "hello", value: toHello(frame.hello) } });
    case "capacity":
      return create(pb.RunnerFrameSchema, { frame: { case: "capacity", value: toCapacity(frame.capacity) } });
    case "draining":
      return create(pb.RunnerFrameSchema, { frame: { case: "draining", value: create(pb.DrainingSchema) } });
    default:
      return create(pb.RunnerFrameSchema, { call: frame.call, frame: ofCall(frame) });
  }
}

function ofCall(frame: Exclude<RunnerFrame, { type: "hello" | "capacity" | "draining" }>): pb.RunnerFrame["frame"] {
  switch (frame.type) {
    case "refused": {
      const scope = frame.scope === "any_runner" ? pb.RefusalScope.ANY_RUNNER : pb.RefusalScope.THIS_RUNNER;
      return { case: "refused", value: create(pb.RefusedSchema, { code: frame.code, message: frame.message, scope }) };
    }
    case "pending":
      return { case: "pending", value: create(pb.PendingSchema, { phase: frame.phase }) };
    case "accepted":
      return { case: "accepted", value: create(pb.AcceptedSchema, { containerId: frame.containerId }) };
    case "head": {
      const { status, headers } = frame.head;
      return { case: "head", value: create(pb.HeadSchema, { status, headers: toHeaders(headers) }) };
    }
    case "data":
      return { case: "data", value: create(pb.DataSchema, { bytes: frame.bytes, end: frame.end }) };
    case "credit":
      return { case: "credit", value: create(pb.CreditSchema, { bytes: frame.bytes }) };
    case "finished":
      return { case: "finished", value: toFinished(frame.finish) };
  }
}

function toFinished(finish: Finish): pb.Finished {
  const timings = toTimings(finish.timings);
  if (finish.ok) return create(pb.FinishedSchema, { timings });
  const { code, message, status = 0, stderrTail } = finish;
  return create(pb.FinishedSchema, { timings, code, message, status, stderrTail });
}

function toHello({ runnerId, bootId, version, isolation, capacity }: RunnerHello): pb.RunnerHello {
  return create(pb.RunnerHelloSchema, {
    runnerId,
    bootId,
    version,
    isolation: toIsolation(isolation),
    capacity: toCapacity(capacity),
  });
}

function fromFrame({ call, frame }: pb.GatewayFrame): GatewayFrame {
  switch (frame.case) {
    case "hello":
      return { type: "hello", gatewayId: frame.value.gatewayId, version: frame.value.version };
    case "offer":
      return { type: "offer", call, offer: fromOffer(frame.value) };
    case "start":
      return { type: "start", call };
    case "data":
      return { type: "data", call, bytes: frame.value.bytes, end: frame.value.end };
    case "credit":
      return { type: "credit", call, bytes: frame.value.bytes };
    case "cancel":
      return { type: "cancel", call, code: isErrorCode(frame.value.code) ? frame.value.code : "client_cancel" };
    case undefined:
      throw new ProtocolError("Gateway sent a frame this runner does not know: it speaks a newer protocol");
  }
}

function fromOffer({ call, body, end, responseCredit, affinityKey }: pb.Offer): OfferedCall {
  if (call === undefined) throw new ProtocolError("Gateway sent an offer without its call");
  return { call: fromCall(call), remainingMs: remainingMs(call), body, end, responseCredit, affinityKey };
}

function micros(ms: number): bigint {
  return BigInt(Math.max(0, Math.round(ms * 1_000)));
}
