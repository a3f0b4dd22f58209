import { create } from "@bufbuild/protobuf";

import type { Call, HeaderList } from "../../core/call.ts";
import type {
  Capacity,
  Finish,
  GatewayFrame,
  Isolation,
  OfferedCall,
  RunnerFrame,
  Timings,
} from "../../core/session/frames.ts";
import { NO_CAPACITY, NO_TIMINGS } from "../../core/session/frames.ts";
import { ProtocolError } from "../../core/session/protocol-error.ts";
import type { StatusCheck } from "../../core/status-check.ts";
import * as pb from "../../gen/kiln/runner/v1/runner_pb.ts";
import { errorCode } from "./decode-frames.ts";
import { wireRemainingMs } from "./encode-frames.ts";
import type { RunnerStatus } from "./runnerpool.ts";

/** Our frames as the message that carries them. */
export function toRequest(frames: readonly GatewayFrame[]): pb.EngageRequest {
  return create(pb.EngageRequestSchema, { frames: frames.map(toFrame) });
}

/** The frames of a runner's message. @throws ProtocolError for a frame this gateway does not know */
export function fromResponse(message: pb.EngageResponse): RunnerFrame[] {
  return message.frames.map(fromFrame);
}

export function fromStatus(status: pb.StatusResponse): RunnerStatus {
  return {
    runnerId: status.runnerId,
    bootId: status.bootId,
    version: status.version,
    isolation: isolation(status.isolation),
    draining: status.draining,
    active: status.active,
    received: Number(status.received),
    handled: Number(status.handled),
    capacity: capacity(status.capacity),
    check: status.check === undefined ? undefined : fromCheck(status.check),
  };
}

function fromCheck(check: pb.StatusCheck): StatusCheck {
  const { failed, code, message, status } = check;
  return {
    failure: failed ? { code: code === "" ? undefined : errorCode(code), message, status } : undefined,
    callId: check.callId,
    details: check.details,
    createdAtMs: Number(check.createdAtMs),
    completedAtMs: Number(check.completedAtMs),
    timings: check.timings === undefined ? NO_TIMINGS : fromTimings(check.timings),
    cached: check.cached,
    networkDisabled: check.networkDisabled,
    custom: check.custom,
  };
}

function toFrame(frame: GatewayFrame): pb.GatewayFrame {
  switch (frame.type) {
    case "hello": {
      const value = create(pb.GatewayHelloSchema, { gatewayId: frame.gatewayId, version: frame.version });
      return create(pb.GatewayFrameSchema, { frame: { case: "hello", value } });
    }
    case "offer":
      return create(pb.GatewayFrameSchema, { call: frame.call, frame: { case: "offer", value: toOffer(frame.offer) } });
    case "start":
      return create(pb.GatewayFrameSchema, {
        call: frame.call,
        frame: { case: "start", value: create(pb.StartSchema) },
      });
    case "data": {
      const value = create(pb.DataSchema, { bytes: frame.bytes, end: frame.end });
      return create(pb.GatewayFrameSchema, { call: frame.call, frame: { case: "data", value } });
    }
    case "credit": {
      const value = create(pb.CreditSchema, { bytes: frame.bytes });
      return create(pb.GatewayFrameSchema, { call: frame.call, frame: { case: "credit", value } });
    }
    case "cancel": {
      const value = create(pb.CancelSchema, { code: frame.code });
      return create(pb.GatewayFrameSchema, { call: frame.call, frame: { case: "cancel", value } });
    }
  }
}

function toOffer(offer: OfferedCall): pb.Offer {
  return create(pb.OfferSchema, {
    call: toCall(offer.call, offer.remainingMs),
    body: offer.body,
    end: offer.end,
    responseCredit: offer.responseCredit,
    affinityKey: offer.affinityKey,
  });
}

function toCall(call: Call, remainingMs: number): pb.Call {
  return create(pb.CallSchema, {
    id: call.id,
    type: call.type === "detached" ? pb.CallType.DETACHED : pb.CallType.SYNC,
    appId: call.appId,
    appName: call.appName,
    fnId: call.fnId,
    fnName: call.fnName,
    image: call.image,
    memoryMib: call.memoryMiB,
    cpuMillis: call.cpuMillis,
    tmpfsMib: call.tmpfsMiB,
    timeoutMs: call.timeoutMs,
    idleTimeoutMs: call.idleTimeoutMs,
    concurrency: call.concurrency,
    maxCalls: call.maxCalls,
    minContainers: call.minContainers,
    maxContainers: call.maxContainers,
    remainingMs: wireRemainingMs(remainingMs),
    config: { ...call.config },
    annotations: Object.fromEntries(
      Object.entries(call.annotations).map(([key, value]) => [key, JSON.stringify(value)]),
    ),
    syslogUrl: call.syslogUrl,
    networkDisabled: call.networkDisabled,
    onCancel: call.onCancel === "finish" ? pb.OnCancel.FINISH : pb.OnCancel.KILL,
    method: call.method,
    url: call.url,
    headers: call.headers.map(([name, value]) => create(pb.HeaderSchema, { name, value })),
    extensions: { ...call.extensions },
    callExtensions: { ...call.callExtensions },
    registryToken: call.registryToken,
  });
}

function fromFrame({ call, frame }: pb.RunnerFrame): RunnerFrame {
  switch (frame.case) {
    case "hello": {
      const { runnerId, bootId, version } = frame.value;
      const hello = { runnerId, bootId, version, isolation: isolation(frame.value.isolation) };
      return { type: "hello", hello: { ...hello, capacity: capacity(frame.value.capacity) } };
    }
    case "refused": {
      const { code, message, scope } = frame.value;
      const anyRunner = scope === pb.RefusalScope.ANY_RUNNER;
      return { type: "refused", call, code: errorCode(code), message, scope: anyRunner ? "any_runner" : "this_runner" };
    }
    case "pending":
      return { type: "pending", call, phase: frame.value.phase };
    case "accepted":
      return { type: "accepted", call, containerId: frame.value.containerId };
    case "head":
      return { type: "head", call, head: { status: frame.value.status, headers: headers(frame.value.headers) } };
    case "data":
      return { type: "data", call, bytes: frame.value.bytes, end: false };
    case "credit":
      return { type: "credit", call, bytes: frame.value.bytes };
    case "finished":
      return { type: "finished", call, finish: finish(frame.value) };
    case "capacity":
      return { type: "capacity", capacity: capacity(frame.value) };
    case "draining":
      return { type: "draining" };
    case undefined:
      throw new ProtocolError("Runner sent a frame this gateway does not know: it speaks a newer protocol");
  }
}

function finish({ code, message, status, stderrTail, timings: times }: pb.Finished): Finish {
  const timings = times === undefined ? NO_TIMINGS : fromTimings(times);
  if (code === "") return { ok: true, timings };
  return { ok: false, timings, code: errorCode(code), message, status: status === 0 ? undefined : status, stderrTail };
}

function fromTimings(times: pb.Timings): Timings {
  return {
    waitMs: Number(times.waitUs) / 1_000,
    pullMs: Number(times.pullUs) / 1_000,
    startMs: Number(times.startUs) / 1_000,
    initMs: Number(times.initUs) / 1_000,
    runMs: Number(times.runUs) / 1_000,
  };
}

function capacity(value: pb.Capacity | undefined): Capacity {
  if (value === undefined) return NO_CAPACITY;
  return {
    freeMemoryMiB: value.freeMemoryMib,
    freeCpuMillis: value.freeCpuMillis,
    totalMemoryMiB: value.totalMemoryMib,
    totalCpuMillis: value.totalCpuMillis,
    idle: value.idle,
    spareSlots: value.spareSlots,
    starting: value.starting,
    waiting: value.waiting,
    running: value.running,
  };
}

function isolation(value: pb.Isolation): Isolation {
  // What is not known to isolate does not.
  return value === pb.Isolation.CONTAINER ? "container" : "none";
}

function headers(list: readonly pb.Header[]): HeaderList {
  return list.map(({ name, value }) => [name, value]);
}
