import type { IncomingMessage } from "node:http";
import type { Http2Stream } from "node:http2";

import { ChunkQueue } from "../runnerpool/chunk-queue.ts";

/** A body as it comes. */
export interface BodyChunks {
  next(): Promise<IteratorResult<Uint8Array, undefined>>;
  /** Nobody reads the rest. What is asked for fails: a body that was left must not look like one that ended. */
  leave(): void;
}

/** Held here for a runner that is slow; beyond that the client's connection is not read. */
const QUEUE_BYTES = 128 * 1024;

/**
 * Takes the body from the HTTP server's own request where nobody has touched that: through the web's stream over it
 * each byte is copied once more. Undefined for no body. @throws TypeError where somebody else reads it
 */
export function requestChunks(raw: Request, incoming: IncomingMessage | undefined): BodyChunks | undefined {
  if (incoming !== undefined && incoming.readableFlowing === null && !incoming.readableDidRead && !raw.bodyUsed)
    return incomingChunks(incoming, () => markUsed(raw, incoming));
  const reader = raw.body?.getReader();
  return reader === undefined ? undefined : { next: () => reader.read(), leave() {} };
}

/**
 * Has the web request know that its body is gone, or a clone would read what is left as the whole. The adapter refuses
 * to read a body that was begun, and the request counts as used from then on.
 */
function markUsed(raw: Request, incoming: IncomingMessage): void {
  if (incoming.readableDidRead && !raw.bodyUsed) raw.arrayBuffer().catch(() => {});
}

function incomingChunks(incoming: IncomingMessage, begun: () => void): BodyChunks {
  const queue = new ChunkQueue(QUEUE_BYTES, { room: () => void incoming.resume(), abandoned: forget });
  const taken = (chunk: Buffer) => {
    if (!queue.push(chunk)) incoming.pause();
  };
  const ended = () => (wasReset(incoming) ? cut() : queue.end());
  const cut = () => queue.fail(new Error("the client's connection was closed"));
  const failed = (reason: Error) => queue.fail(reason);
  incoming.once("data", begun).on("data", taken).on("end", ended).on("error", failed).on("close", cut);
  // Who reads the rest to throw it away must find nobody in the way.
  function forget() {
    incoming.off("data", begun).off("data", taken).off("end", ended).off("error", failed).off("close", cut);
  }
  return {
    next: () => queue.next(),
    leave() {
      forget();
      queue.abort(new Error("nobody wants the rest of the body"));
    },
  };
}

/** An HTTP/2 stream that its client has reset ends like one that is whole. */
function wasReset(incoming: IncomingMessage): boolean {
  if (!("stream" in incoming)) return false;
  const { destroyed, rstCode } = incoming.stream as Http2Stream;
  return destroyed || Boolean(rstCode);
}
