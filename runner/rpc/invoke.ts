import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";

import { CallError } from "../../core/call-error.ts";
import { containerTask, slotKey } from "../../core/container-task.ts";
import type { Finish, ResponseHead } from "../../core/session/frames.ts";
import * as pb from "../../gen/kiln/runner/v1/runner_pb.ts";
import type { Runner } from "../runner.ts";
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
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  let head: ResponseHead = { status: 200, headers: [] };
  const over = Promise.withResolvers<Finish>();
  const offered = {
    call,
    remainingMs: remainingMs(request.call),
    affinityKey: slotKey(containerTask(call)),
    body: request.body,
    end: true,
    responseCredit: MOST_BYTES,
  };

  let pending = false;
  const handler = runner.offer(offered, {
    refuse: (reason) => over.reject(toConnectError(reason)),
    pending: () => (pending = true),
    accept: () => {
      // Nobody else could take it, so there is nothing to wait for.
      if (pending) queueMicrotask(() => handler.start());
    },
    head: (answer) => (head = answer),
    write(chunk) {
      bytes += chunk.length;
      if (bytes <= MOST_BYTES) chunks.push(chunk);
      else handler.cancel("function_response_too_big");
      return true;
    },
    consumed() {},
    finish: (finish) => over.resolve(finish),
  });
  const cancel = () => handler.cancel("client_cancel");
  signal.addEventListener("abort", cancel, { once: true });
  try {
    const finish = await over.promise;
    if (!finish.ok) throw toConnectError(new CallError(finish.code, finish.message));
    return create(pb.InvokeResponseSchema, {
      status: head.status,
      headers: toHeaders(head.headers),
      body: Buffer.concat(chunks),
      timings: toTimings(finish.timings),
    });
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

const CONNECT_CODES: Readonly<Record<number, Code>> = {
  400: Code.InvalidArgument,
  404: Code.NotFound,
  413: Code.ResourceExhausted,
  429: Code.ResourceExhausted,
  444: Code.Canceled,
  501: Code.Unimplemented,
  503: Code.Unavailable,
  504: Code.DeadlineExceeded,
};

/** A failed call as Connect's clients see it: the catalogue's code is in the text and in the metadata. */
function toConnectError(error: CallError): ConnectError {
  const code = CONNECT_CODES[error.status] ?? Code.Unknown;
  return new ConnectError(`${error.code}: ${error.message}`, code, { "kiln-error-code": error.code });
}
