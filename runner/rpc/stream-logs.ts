import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";

import { Bell } from "../../core/bell.ts";
import * as pb from "../../gen/kiln/runner/v1/runner_pb.ts";
import type { FunctionLine } from "../logs/function-line.ts";
import type { FunctionLogs } from "../logs/function-logs.ts";
import type { LineBatch, LogReader } from "../logs/log-reader.ts";

const MESSAGE_BYTES = 64 * 1024;

/** Lines from now on, until the reader leaves or the runner ends. What it is too slow for is lost, never waited for. */
export async function* streamLogs(
  logs: FunctionLogs,
  { appId, fnId, callId }: pb.StreamLogsRequest,
  { signal }: HandlerContext,
): AsyncGenerator<pb.StreamLogsResponse> {
  const bell = new Bell();
  const reader = follow(logs, { appId, fnId, callId }, () => bell.ring());
  const leave = () => reader.end();
  signal.addEventListener("abort", leave, { once: true });
  if (signal.aborted) leave();
  try {
    // It says that lines are heard from now on.
    yield create(pb.StreamLogsResponseSchema);
    for (;;) {
      const batch = reader.take(MESSAGE_BYTES);
      if (batch !== undefined) yield toBatch(batch);
      else if (reader.over) return;
      else await bell.heard();
      if (signal.aborted) return;
    }
  } finally {
    signal.removeEventListener("abort", leave);
    logs.leave(reader);
  }
}

function follow(...[logs, ...args]: [FunctionLogs, ...Parameters<FunctionLogs["follow"]>]): LogReader {
  try {
    return logs.follow(...args);
  } catch (error) {
    throw new ConnectError(error instanceof Error ? error.message : String(error), Code.ResourceExhausted);
  }
}

function toBatch({ dropped, lines }: LineBatch): pb.StreamLogsResponse {
  return create(pb.StreamLogsResponseSchema, { dropped: BigInt(dropped), lines: lines.map(toLine) });
}

function toLine(line: FunctionLine): pb.LogLine {
  const { atMs, appId, fnId, containerId, callId = "", between, stream, text, partial } = line;
  const source = stream === "stdout" ? pb.LogSource.STDOUT : pb.LogSource.STDERR;
  const whose = { appId, fnId, containerId, callId, between };
  return create(pb.LogLineSchema, { atMs: BigInt(atMs), ...whose, source, text, partial });
}
