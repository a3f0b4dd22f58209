import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from "node:http2";

import { Code, ConnectError } from "@connectrpc/connect";
import type { UniversalClientFn, UniversalClientRequest } from "@connectrpc/connect/protocol";

import { Http2Exchange } from "./http2-exchange.ts";
import { abortFailure, unavailable, watchSession } from "./http2-failure.ts";

/**
 * Connect's HTTP client over HTTP/2 sessions that `open` provides, asked for every request.
 *
 * In place of connect-node's own, which iterates the response stream: on Node 24.20 and later that loses
 * responses the peer has already finished sending (nodejs/node#65677). Failures are ConnectErrors:
 * `unavailable` for a connection that is lost or never answered, the peer's meaning for a stream it reset.
 */
export function eventFedClient(open: () => Promise<ClientHttp2Session>): UniversalClientFn {
  return async (request) => {
    const session = await opened(open, request.signal);
    watchSession(session);
    return new Http2Exchange(session, startStream(session, request), request).response;
  };
}

async function opened(
  open: () => Promise<ClientHttp2Session>,
  signal: AbortSignal | undefined,
): Promise<ClientHttp2Session> {
  if (signal?.aborted) throw abortFailure(signal);
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => {
    if (signal !== undefined) aborted.reject(abortFailure(signal));
  };
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    // The session is shared, so whoever no longer waits for it leaves it to others.
    return await Promise.race([aborted.promise, open()]);
  } catch (reason) {
    throw reason instanceof ConnectError ? reason : unavailable("no connection to the peer", reason);
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

function startStream(
  session: ClientHttp2Session,
  { url, method, header, body }: UniversalClientRequest,
): ClientHttp2Stream {
  const { pathname, search } = new URL(url);
  const headers: OutgoingHttpHeaders = { ...Object.fromEntries(header), ":method": method, ":path": pathname + search };
  try {
    return session.request(headers, { endStream: body === undefined });
  } catch (reason) {
    // A header that HTTP/2 forbids is a TypeError, a session that takes no more streams is not.
    throw reason instanceof TypeError
      ? ConnectError.from(reason, Code.Internal)
      : unavailable("the connection takes no more streams", reason);
  }
}
