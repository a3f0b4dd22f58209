import type { IncomingMessage } from "node:http";
import type { Http2Stream } from "node:http2";

/** Where a body is now: middleware may put another request in the place of the client's. */
export interface BodyHolder {
  readonly raw: Request;
  /** What the client declared; undefined where it said nothing, or another request took its place. */
  readonly declaredBytes: number | undefined;
  /** The HTTP server's own request, where its body is still its own. */
  readonly incoming: IncomingMessage | undefined;
}

/** Takes a body as it comes. After `end` or `fail` it takes nothing more. */
export interface BodyTaker {
  /** False: no more for now, `resume` will be called. */
  push(chunk: Uint8Array): boolean;
  end(): void;
  fail(reason: unknown): void;
}

/** What a body comes from. */
export interface BodyFeed {
  resume(): void;
  /** Nobody takes the rest: who reads it to throw it away must find nobody in the way. */
  stop(): void;
}

/**
 * Feeds a body from the HTTP server's own request where nobody has touched that: through the web's stream over it each
 * byte is copied once more. @throws TypeError where somebody else reads it
 */
export function feedBody({ raw, incoming }: BodyHolder, taker: BodyTaker): BodyFeed {
  if (incoming !== undefined && incoming.readableFlowing === null && !incoming.readableDidRead && !raw.bodyUsed)
    return feedIncoming(incoming, taker, () => markUsed(raw, incoming));
  if (raw.body === null) {
    taker.end();
    return { resume() {}, stop() {} };
  }
  return feedStream(raw.body.getReader(), taker);
}

/**
 * Has the web request know that its body is gone, or a clone would read what is left as the whole. The adapter refuses
 * to read a body that was begun, and the request counts as used from then on.
 */
function markUsed(raw: Request, incoming: IncomingMessage): void {
  if (incoming.readableDidRead && !raw.bodyUsed) raw.arrayBuffer().catch(() => {});
}

function feedIncoming(incoming: IncomingMessage, taker: BodyTaker, begun: () => void): BodyFeed {
  const taken = (chunk: Buffer) => {
    if (!taker.push(chunk)) incoming.pause();
  };
  const ended = () => (wasReset(incoming) ? cut() : taker.end());
  const cut = () => taker.fail(new Error("the client's connection was closed"));
  const failed = (reason: Error) => taker.fail(reason);
  incoming.once("data", begun).on("data", taken).on("end", ended).on("error", failed).on("close", cut);
  return {
    resume: () => void incoming.resume(),
    stop() {
      incoming.off("data", begun).off("data", taken).off("end", ended).off("error", failed).off("close", cut);
    },
  };
}

/** An HTTP/2 stream that its client has reset ends like one that is whole. */
function wasReset(incoming: IncomingMessage): boolean {
  if (!("stream" in incoming)) return false;
  const { destroyed, rstCode } = incoming.stream as Http2Stream;
  return destroyed || Boolean(rstCode);
}

function feedStream(reader: ReadableStreamDefaultReader<Uint8Array>, taker: BodyTaker): BodyFeed {
  let stopped = false;
  const read = async (): Promise<void> => {
    try {
      for (let room = true; room;) {
        const { done, value } = await reader.read();
        if (stopped) return;
        if (done) return taker.end();
        room = taker.push(value);
      }
    } catch (reason) {
      taker.fail(reason);
    }
  };
  void read();
  return { resume: () => void read(), stop: () => void (stopped = true) };
}
