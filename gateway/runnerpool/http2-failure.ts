import { constants, type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";

import { Code, ConnectError } from "@connectrpc/connect";

/**
 * What a peer means by resetting a stream, as gRPC maps it; everything else is its own fault. CANCEL is not
 * `canceled`: runtimes end the streams of a lost connection with it, and who cancels here has stopped listening.
 */
const RESET_CODES: Readonly<Record<number, Code>> = {
  [constants.NGHTTP2_REFUSED_STREAM]: Code.Unavailable,
  [constants.NGHTTP2_CANCEL]: Code.Unavailable,
  [constants.NGHTTP2_ENHANCE_YOUR_CALM]: Code.ResourceExhausted,
  [constants.NGHTTP2_INADEQUATE_SECURITY]: Code.PermissionDenied,
  [constants.NGHTTP2_HTTP_1_1_REQUIRED]: Code.PermissionDenied,
};

const sessionErrors = new WeakMap<ClientHttp2Session, { last: unknown }>();

/**
 * Keeps a session's error, which says more than its streams' do, and keeps it from ending the process.
 * One listener for the life of the session: one per stream would be a leak to Node.
 */
export function watchSession(session: ClientHttp2Session): void {
  if (sessionErrors.has(session)) return;
  const error = { last: undefined as unknown };
  sessionErrors.set(session, error);
  session.on("error", (reason: unknown) => (error.last = reason));
}

/** Why a stream ended before its response did. */
export function streamFailure(
  session: ClientHttp2Session,
  stream: ClientHttp2Stream,
  cause?: NodeJS.ErrnoException,
): ConnectError {
  if (session.destroyed) {
    // A server that refuses our certificate in TLS 1.3 does so after the handshake, and often leaves no other trace.
    return unavailable(
      "the connection was closed before the response was complete",
      sessionErrors.get(session)?.last ?? cause,
    );
  }
  const reset = cause === undefined || cause.code === "ERR_HTTP2_STREAM_ERROR";
  if (!reset || !stream.rstCode) return unavailable("the stream ended before the response was complete", cause);
  const message = `the peer reset the stream with HTTP/2 error code ${stream.rstCode}`;
  return new ConnectError(message, RESET_CODES[stream.rstCode] ?? Code.Internal, undefined, undefined, cause);
}

export function unavailable(message: string, cause: unknown): ConnectError {
  const why = cause instanceof Error ? `${message}: ${cause.message}` : message;
  return new ConnectError(why, Code.Unavailable, undefined, undefined, cause);
}

/** What an aborted signal means to whoever waited. */
export function abortFailure(signal: AbortSignal): ConnectError {
  return ConnectError.from(signal.reason, Code.Canceled);
}
