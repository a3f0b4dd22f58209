import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, type Http2ServerResponse } from "node:http2";
import { Readable } from "node:stream";

import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";

import type { GatewayEnv } from "../overrider.ts";
import type { RawHeaders } from "./call-headers.ts";

/** The HTTP server's own objects, where there is one: an app that is driven by `app.request()` has none. */
export function nodeBindings(c: Context<GatewayEnv>): Partial<HttpBindings> {
  const bindings: Partial<HttpBindings> | undefined = c.env;
  return bindings ?? {};
}

/** What a web request of the HTTP server's adapter holds before anybody has had to do with its body. */
const BODY_UNTOUCHED = new Set([
  "incomingKey",
  "methodKey",
  "urlKey",
  "headersKey",
  "abortControllerKey",
  "abortReason",
]);

/**
 * The HTTP server's own request, where its body is still its own. The adapter's web request makes a real one for all
 * but the method, the URL and the headers; that one, or a clone of it, reads the body from then on, though not at once.
 */
export function untouchedIncoming(c: Context<GatewayEnv>): IncomingMessage | undefined {
  const { incoming } = nodeBindings(c);
  if (incoming === undefined) return undefined;
  // What is not known counts as touched: another release of the adapter then costs time, and no bytes.
  const marks = Object.getOwnPropertySymbols(c.req.raw);
  const untouched = marks.length > 0 && marks.every(({ description = "" }) => BODY_UNTOUCHED.has(description));
  return untouched ? incoming : undefined;
}

const WITHOUT_BODY = new Set(["GET", "HEAD", "TRACE"]);

/** A request whose body can be read: HTTP allows one in a GET, and the web's `Request` does not. */
export function readableBody(raw: Request, incoming: IncomingMessage | undefined): Request {
  if (incoming === undefined || !WITHOUT_BODY.has(raw.method)) return raw;
  const body = Readable.toWeb(incoming) as ReadableStream<Uint8Array<ArrayBuffer>>;
  return new Request("http://gateway", { method: "POST", body, duplex: "half" });
}

/** Headers as they came; case and order are lost where no HTTP server read them. */
export function rawHeaders(c: Context<GatewayEnv>): RawHeaders {
  return nodeBindings(c).incoming?.rawHeaders ?? [...c.req.raw.headers].flat();
}

/** Calls `gone` when the client has left, or has got its answer; returns what ends that. */
export function followClient(c: Context<GatewayEnv>, gone: () => void): () => void {
  const { outgoing } = nodeBindings(c);
  if (outgoing !== undefined) {
    // Much cheaper than the request's signal, which is only made when somebody asks for it.
    outgoing.on("close", gone);
    return () => void outgoing.off("close", gone);
  }
  const { signal } = c.req.raw;
  if (signal.aborted) queueMicrotask(gone);
  signal.addEventListener("abort", gone, { once: true });
  return () => signal.removeEventListener("abort", gone);
}

/** Resets the client's connection, so that what it has cannot look complete. False where there is none. */
export function resetConnection(c: Context<GatewayEnv>): boolean {
  const { outgoing } = nodeBindings(c);
  if (outgoing === undefined) return false;
  // A finished answer has left its socket, which may serve another request by now.
  if (outgoing.writableFinished || outgoing.destroyed) return true;
  // Of a connection that others share, this stream alone.
  if (isHttp2(outgoing)) outgoing.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  else outgoing.socket?.resetAndDestroy();
  return true;
}

function isHttp2(outgoing: ServerResponse | Http2ServerResponse): outgoing is Http2ServerResponse {
  return "stream" in outgoing;
}
