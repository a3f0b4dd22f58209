import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";

import { CallError } from "../../core/call-error.ts";
import { containerTask, slotKey } from "../../core/container-task.ts";
import * as pb from "../../gen/kiln/runner/v1/runner_pb.ts";
import { collectCall } from "../calls/collect-call.ts";
import type { Runner } from "../runner.ts";
import { toConnectError } from "./connect-error.ts";
import { fromCall, remainingMs, toHeaders, toTimings } from "./wire.ts";

/** Bodies of unary calls, both ways; larger ones need a session. */
const MOST_BYTES = 4 * 1024 * 1024;

/** Runs one call, whole request and whole reply, by the same code as a session's calls. @throws ConnectError */
export async function invokeOnce(
  runner: Runner,
  request: pb.InvokeRequest,
  signal: AbortSignal,
): Promise<pb.InvokeResponse> {
  if (request.call === undefined) throw new ConnectError('Cannot invoke: "call" is missing', Code.InvalidArgument);
  if (request.body.length > MOST_BYTES) {
    const text = `Cannot invoke: the body has ${request.body.length} bytes, at most ${MOST_BYTES} fit a unary call`;
    throw new ConnectError(text, Code.ResourceExhausted);
  }
  const call = fromCall(request.call);
  const offered = {
    call,
    remainingMs: remainingMs(request.call),
    affinityKey: slotKey(containerTask(call)),
    body: request.body,
    end: true,
    responseCredit: MOST_BYTES,
  };
  const offer = runner.offer.bind(runner);
  const { head, body, finish } = await collectCall(offered, { offer, mostBytes: MOST_BYTES, signal }).catch(
    (error: unknown) => {
      throw toConnectError(CallError.from(error, "runner_internal"));
    },
  );
  if (!finish.ok) throw toConnectError(new CallError(finish.code, finish.message));
  return create(pb.InvokeResponseSchema, {
    status: head.status,
    headers: toHeaders(head.headers),
    body,
    timings: toTimings(finish.timings),
  });
}
