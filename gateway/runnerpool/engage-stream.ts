import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders, IncomingHttpStatusHeader } from "node:http2";
import { setImmediate } from "node:timers";

import { Code, ConnectError } from "@connectrpc/connect";
import { endStreamFromJson } from "@connectrpc/connect/protocol-connect";

import type { Clock } from "../../core/clock.ts";
import { decodeFrames } from "../../core/connect/decode-frames.ts";
import { END_STREAM, EnvelopeError, EnvelopeReader } from "../../core/connect/envelopes.ts";
import { FramePump } from "../../core/connect/frame-pump.ts";
import { LARGEST_MESSAGE_BYTES, type GatewayFrame, type RunnerFrame } from "../../core/session/frames.ts";
import { RUNNER_FRAMES } from "./decode-frames.ts";
import { encodeFrames } from "./encode-frames.ts";
import { streamFailure, watchSession } from "./http2-failure.ts";

export interface EngageOptions {
  readonly connection: ClientHttp2Session;
  readonly clock: Clock;
  take(budgetBytes: number): readonly GatewayFrame[];
  /** @throws ProtocolError */
  receive(frames: readonly RunnerFrame[]): void;
  /** The stream is over, and why: told once. */
  ended(reason: unknown): void;
}

const CONTENT_TYPE = "application/connect+proto";
/** What a Connect client sends for this call of this service. */
const REQUEST = {
  ":method": "POST",
  ":path": "/kiln.runner.v1.RunnerService/Engage",
  "content-type": CONTENT_TYPE,
  "connect-protocol-version": "1",
};

/**
 * Calls `RunnerService.Engage` as a Connect client does, without the client's chain of async iterators: those took
 * more time for a small call than all else between session and socket. `engage-stream.test.ts` holds both against the
 * same server.
 */
export function engageStream({ connection, clock, take, receive, ended }: EngageOptions): FramePump<GatewayFrame> {
  watchSession(connection);
  const stream = connection.request(REQUEST, { endStream: false });
  const pump = new FramePump<GatewayFrame>(stream, { take, encode: encodeFrames }, clock);
  let over = false;
  const end = (reason: unknown) => {
    if (over) return;
    over = true;
    pump.stop();
    // What the connection says of its own end says more, and comes in this turn.
    setImmediate(() => ended(reason));
  };
  const fail = (reason: unknown) => {
    end(reason);
    stream.close();
  };
  const envelopes = new EnvelopeReader(LARGEST_MESSAGE_BYTES, (flags, message) => {
    if (over) return;
    if (flags === END_STREAM) return end(endReason(Buffer.concat(message)));
    if (flags !== 0) throw new EnvelopeError(`A message has flags ${flags}, which were not agreed on`);
    receive(decodeFrames(message, RUNNER_FRAMES));
  });
  stream.on("response", (headers) => {
    const refusal = refusalOf(headers);
    if (refusal !== undefined) fail(refusal);
  });
  stream.on("data", (chunk: Buffer) => {
    try {
      envelopes.push(chunk);
    } catch (reason) {
      fail(reason);
    }
  });
  watchEnd(connection, stream, end);
  return pump;
}

/** A stream may end in any of these ways; the first tells. */
function watchEnd(connection: ClientHttp2Session, stream: ClientHttp2Stream, end: (reason: unknown) => void): void {
  stream.on("error", (cause: NodeJS.ErrnoException) => end(streamFailure(connection, stream, cause)));
  stream.on("end", () => end(streamFailure(connection, stream)));
  stream.on("close", () => end(streamFailure(connection, stream)));
}

function refusalOf(headers: IncomingHttpHeaders & IncomingHttpStatusHeader): ConnectError | undefined {
  const status = headers[":status"];
  const type = headers["content-type"];
  if (status === 200 && type === CONTENT_TYPE) return undefined;
  return new ConnectError(`the answer has HTTP status ${status} and content type ${type ?? "none"}`, Code.Unknown);
}

function endReason(message: Buffer): unknown {
  return endStreamFromJson(message).error ?? new Error("the runner ended the session");
}
