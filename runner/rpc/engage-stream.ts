import type { ServerHttp2Stream } from "node:http2";

import { Code, ConnectError } from "@connectrpc/connect";
import { endStreamToJson } from "@connectrpc/connect/protocol-connect";

import type { Clock } from "../../core/clock.ts";
import { decodeFrames } from "../../core/connect/decode-frames.ts";
import {
  END_STREAM,
  ENVELOPE_HEAD_BYTES,
  EnvelopeError,
  EnvelopeReader,
  sealEnvelope,
} from "../../core/connect/envelopes.ts";
import { FramePump } from "../../core/connect/frame-pump.ts";
import type { Log } from "../../core/log.ts";
import { MalformedMessage } from "../../core/protobuf/reader.ts";
import { LARGEST_MESSAGE_BYTES, type RunnerFrame } from "../../core/session/frames.ts";
import { ProtocolError } from "../../core/session/protocol-error.ts";
import type { WindowLimits } from "../../core/session/receive-windows.ts";
import type { Runner } from "../runner.ts";
import { GATEWAY_FRAMES } from "./decode-frames.ts";
import { encodeFrames } from "./encode-frames.ts";
import { engageGateway } from "./engage-gateway.ts";
import type { Farewells } from "./farewells.ts";

const CONTENT_TYPE = "application/connect+proto";
const PATH = "/kiln.runner.v1.RunnerService/Engage";

/** The one way of asking for a session that is answered here: Connect's own, uncompressed, in protobuf. */
export function isPlainEngage(method: string | undefined, headers: Readonly<Record<string, unknown>>): boolean {
  return (
    headers[":path"] === PATH &&
    method === "POST" &&
    headers["content-type"] === CONTENT_TYPE &&
    headers["connect-protocol-version"] === "1" &&
    headers["connect-timeout-ms"] === undefined &&
    (headers["connect-content-encoding"] ?? "identity") === "identity"
  );
}

export interface EngageSite {
  readonly runner: Runner;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether the stream's connection takes no new calls. */
  readonly isRetired: () => boolean;
  readonly farewells: Farewells;
  readonly windows: WindowLimits | undefined;
}

/**
 * Answers `RunnerService.Engage` as Connect's handler does, without its chain of async iterators. All other forms of
 * it, JSON, gRPC or compressed, go through `service.ts`, which tests hold against this.
 */
export function serveEngage(stream: ServerHttp2Stream, site: EngageSite): void {
  const { runner, clock, log, isRetired, farewells, windows } = site;
  const pump = new FramePump<RunnerFrame>(
    stream,
    { take: (budgetBytes) => (session.over ? [] : session.take(budgetBytes)), encode: encodeFrames },
    clock,
  );
  const signals = { wake: () => pump.wake(), linger: () => pump.linger() };
  const { session, leave } = engageGateway(runner, log, signals, isRetired, windows);
  const farewell = farewells.expect(session);
  let over = false;
  const end = (failure?: ConnectError) => {
    if (over) return;
    over = true;
    farewell();
    pump.stop();
    leave();
    session.lost();
    if (!stream.destroyed && stream.writable) stream.end(endOfStream(failure));
  };
  const envelopes = new EnvelopeReader(LARGEST_MESSAGE_BYTES, (flags, message) => {
    if (over) return;
    if (flags !== 0) throw new EnvelopeError(`a message has flags ${flags}, which were not agreed on`);
    session.receive(decodeFrames(message, GATEWAY_FRAMES));
  });
  stream.respond({ ":status": 200, "content-type": CONTENT_TYPE });
  stream.on("data", (chunk: Buffer) => {
    try {
      envelopes.push(chunk);
    } catch (reason) {
      end(brokenBy(reason, log));
    }
  });
  stream.on("end", () => {
    farewell();
    // A gateway that knows of the end stays until it comes; otherwise it would dial a runner that goes.
    if (envelopes.between && runner.status().draining && session.size === 0) return;
    // A client that says all it has to say at once is still told what its session was.
    pump.flush();
    end(envelopes.between ? undefined : new ConnectError("the stream ended within a message", Code.InvalidArgument));
  });
  stream.on("error", (reason: Error) => log.debug("A gateway's stream failed", { reason }));
  stream.on("close", () => end());
}

/** What the gateway is told, where it is the one at fault. */
function brokenBy(reason: unknown, log: Log): ConnectError {
  const known =
    reason instanceof ProtocolError || reason instanceof EnvelopeError || reason instanceof MalformedMessage;
  if (!known) {
    log.error("A gateway's frames could not be taken", { reason });
    return new ConnectError("internal error", Code.Internal);
  }
  log.warn("Gateway broke the protocol", { reason });
  return new ConnectError(reason.message, Code.InvalidArgument);
}

function endOfStream(failure: ConnectError | undefined): Buffer {
  const json = endStreamToJson(new Headers(), failure, undefined);
  const envelope = Buffer.concat([Buffer.alloc(ENVELOPE_HEAD_BYTES), Buffer.from(JSON.stringify(json))]);
  sealEnvelope([envelope], END_STREAM);
  return envelope;
}
