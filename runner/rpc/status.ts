import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";

import { CallError } from "../../core/call-error.ts";
import type { StatusCheck } from "../../core/status-check.ts";
import * as pb from "../../gen/kiln/runner/v1/runner_pb.ts";
import type { Runner } from "../runner.ts";
import { toConnectError } from "./connect-error.ts";
import { toCapacity, toIsolation, toTimings } from "./wire.ts";

const MOST_BODY_BYTES = 65_536;

/** How the runner is now, and what its operator's checks found. @throws ConnectError */
export async function runnerStatus(
  runner: Runner,
  { body }: pb.StatusRequest,
  signal: AbortSignal,
): Promise<pb.StatusResponse> {
  if (body.length > MOST_BODY_BYTES) {
    const text = `Cannot tell the status: the body has ${body.length} bytes, expected at most ${MOST_BODY_BYTES}`;
    throw new ConnectError(text, Code.InvalidArgument);
  }
  const check = await runner.check(body, signal).catch((error: unknown) => {
    throw toConnectError(CallError.from(error, "runner_internal"));
  });
  const { draining, active, received, handled } = runner.status();
  const { runnerId, bootId, version, isolation, capacity } = runner.hello();
  return create(pb.StatusResponseSchema, {
    runnerId,
    bootId,
    version,
    isolation: toIsolation(isolation),
    draining,
    active,
    received: BigInt(received),
    handled: BigInt(handled),
    capacity: toCapacity(capacity),
    ...(check === undefined ? {} : { check: toCheck(check) }),
  });
}

function toCheck({ failure, createdAtMs, completedAtMs, timings, custom, ...same }: StatusCheck): pb.StatusCheck {
  return create(pb.StatusCheckSchema, {
    ...same,
    failed: failure !== undefined,
    code: failure?.code ?? "",
    message: failure?.message ?? "",
    status: failure?.status ?? 0,
    createdAtMs: BigInt(Math.round(createdAtMs)),
    completedAtMs: BigInt(Math.round(completedAtMs)),
    timings: toTimings(timings),
    custom: { ...custom },
  });
}
