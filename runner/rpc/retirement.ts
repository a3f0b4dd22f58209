import type { X509Certificate } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest, Http2Session, ServerHttp2Session } from "node:http2";
import type { TLSSocket } from "node:tls";

import { createContextKey, createContextValues, type ContextValues } from "@connectrpc/connect";

import type { Clock } from "../../core/clock.ts";
import type { Log } from "../../core/log.ts";
import { certificateChain, isVouchedFor } from "../../core/peer-certificate.ts";

/** Whether a request's connection takes no new calls. */
export const retiredKey = createContextKey<() => boolean>(() => false);

/** Ends the connections of peers that are no longer believed: no new calls, then a bounded time for those that run. */
export interface Retirement {
  watch(session: ServerHttp2Session): void;
  /** Retires every connection whose certificate none of these authorities vouches for. */
  keepOnly(bundle: string): void;
  /** Whether this connection takes no new calls. */
  isRetired(session: Http2Session | undefined): boolean;
  contextValues(this: void, request: IncomingMessage | Http2ServerRequest): ContextValues;
}

export interface RetirementOptions {
  readonly drainMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

export function createRetirement({ drainMs, clock, log }: RetirementOptions): Retirement {
  const chains = new Map<ServerHttp2Session, readonly X509Certificate[]>();
  const retired = new WeakSet<Http2Session>();

  const retire = (session: ServerHttp2Session) => {
    retired.add(session);
    log.info("Gateway's connection takes no new calls: the authority of its certificate is no longer believed", {
      peer: session.socket.remoteAddress,
    });
    // A GOAWAY: the gateway connects anew, and closes this one after its last call.
    session.close();
    const cancel = clock.after(drainMs, () => session.destroy());
    session.once("close", cancel);
  };

  const isRetired = (session: Http2Session | undefined) => session !== undefined && retired.has(session);

  return {
    watch(session) {
      // HTTP/2 hands out a stand-in for the socket, which knows all that only reads.
      chains.set(session, certificateChain((session.socket as TLSSocket).getPeerCertificate(true)));
      session.once("close", () => chains.delete(session));
    },
    keepOnly(bundle) {
      for (const [session, chain] of chains) {
        if (!session.destroyed && !retired.has(session) && !isVouchedFor(chain, bundle)) retire(session);
      }
    },
    isRetired,
    contextValues(request) {
      const session = "stream" in request ? request.stream.session : undefined;
      return createContextValues().set(retiredKey, () => isRetired(session));
    },
  };
}
