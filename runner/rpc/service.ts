import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";

import { Bell } from "../../core/bell.ts";
import type { Log } from "../../core/log.ts";
import { MESSAGE_BYTES } from "../../core/session/frames.ts";
import { ProtocolError } from "../../core/session/protocol-error.ts";
import type { WindowLimits } from "../../core/session/receive-windows.ts";
import * as pb from "../../gen/kiln/runner/v1/runner_pb.ts";
import type { Runner } from "../runner.ts";
import { engageGateway } from "./engage-gateway.ts";
import { invokeOnce } from "./invoke.ts";
import { retiredKey } from "./retirement.ts";
import type { RunnerSession } from "./session.ts";
import { runnerStatus } from "./status.ts";
import { streamLogs } from "./stream-logs.ts";
import { fromRequest, toResponse } from "./wire.ts";

/** The runner's Connect routes. */
export function runnerRoutes(runner: Runner, log: Log, windows?: WindowLimits): (router: ConnectRouter) => void {
  return (router) =>
    router.service(pb.RunnerService, {
      engage: (requests, context) => engage(runner, requests, context, { log, windows }),
      invoke: (request, context) => invokeOnce(runner, request, context.signal),
      status: (request, context) => runnerStatus(runner, request, context.signal),
      streamLogs: (request, context) => streamLogs(runner.logs, request, context),
    });
}

async function* engage(
  runner: Runner,
  requests: AsyncIterable<pb.EngageRequest>,
  context: HandlerContext,
  { log, windows }: { readonly log: Log; readonly windows: WindowLimits | undefined },
): AsyncGenerator<pb.EngageResponse> {
  const bell = new Bell();
  let failure: unknown;
  const { session, leave } = engageGateway(
    runner,
    log,
    { wake: () => bell.ring() },
    context.values.get(retiredKey),
    windows,
  );
  const close = () => session.lost();
  context.signal.addEventListener("abort", close, { once: true });
  const reading = read(requests, session).catch((error: unknown) => {
    failure = error;
    session.lost();
  });
  try {
    while (!session.over) {
      const frames = session.take(MESSAGE_BYTES);
      if (frames.length > 0) yield toResponse(frames);
      else if (session.idle) await bell.heard();
    }
  } finally {
    context.signal.removeEventListener("abort", close);
    leave();
    session.lost();
    bell.ring();
    await reading;
  }
  if (failure instanceof ProtocolError) {
    log.warn("Gateway broke the protocol", { reason: failure });
    throw new ConnectError(failure.message, Code.InvalidArgument);
  }
}

async function read(requests: AsyncIterable<pb.EngageRequest>, session: RunnerSession): Promise<void> {
  for await (const message of requests) {
    if (session.over) return;
    session.receive(fromRequest(message));
  }
  session.lost();
}
