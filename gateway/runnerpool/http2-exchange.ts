import {
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
} from "node:http2";

import { Code, ConnectError } from "@connectrpc/connect";
import type { UniversalClientRequest, UniversalClientResponse } from "@connectrpc/connect/protocol";

import { ChunkQueue } from "./chunk-queue.ts";
import { abortFailure, streamFailure } from "./http2-failure.ts";
import { Http2Upload } from "./http2-upload.ts";

/** Of a response, held here for a reader that is slow; HTTP/2's own windows bound what waits below. */
const QUEUE_BYTES = 64 * 1024;

/** One request and its response on one stream. It ends once: well, or with one failure that everybody waiting gets. */
export class Http2Exchange {
  readonly response: Promise<UniversalClientResponse>;
  readonly #resolve: (response: UniversalClientResponse) => void;
  readonly #reject: (failure: ConnectError) => void;
  readonly #session: ClientHttp2Session;
  readonly #stream: ClientHttp2Stream;
  readonly #signal: AbortSignal | undefined;
  readonly #upload: Http2Upload | undefined;
  readonly #trailer = new Headers();
  readonly #body = new ChunkQueue(QUEUE_BYTES, {
    room: () => this.#stream.resume(),
    abandoned: () => this.#fail(new ConnectError("the response was abandoned", Code.Canceled)),
  });
  #answered = false;
  #whole = false;
  #over = false;

  constructor(session: ClientHttp2Session, stream: ClientHttp2Stream, { body, signal }: UniversalClientRequest) {
    ({ promise: this.response, resolve: this.#resolve, reject: this.#reject } = Promise.withResolvers());
    this.#session = session;
    this.#stream = stream;
    this.#signal = signal;
    this.#listen();
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (signal?.aborted) this.#onAbort();
    if (body === undefined || this.#over) return;
    this.#upload = new Http2Upload(stream, body);
    this.#upload.run().catch((reason: unknown) => this.#fail(ConnectError.from(reason, Code.Internal)));
  }

  /** Events only: a stream that is iterated after its peer has finished may report a false end (nodejs/node#65677). */
  #listen(): void {
    const stream = this.#stream;
    stream.on("response", (headers) => this.#head(headers));
    stream.on("trailers", (headers: IncomingHttpHeaders) => this.#copy(headers, this.#trailer));
    stream.on("data", (chunk: Buffer) => {
      if (!this.#body.push(chunk)) stream.pause();
    });
    stream.on("end", () => {
      // Streams that were reset or lost "end" too: "error" or "close" tells of those.
      this.#whole = !stream.destroyed && !stream.rstCode;
      this.#finishIfComplete();
    });
    stream.on("error", (cause: NodeJS.ErrnoException) => this.#fail(streamFailure(this.#session, stream, cause)));
    stream.on("close", () => this.#fail(streamFailure(this.#session, stream)));
  }

  #head(headers: IncomingHttpHeaders & IncomingHttpStatusHeader): void {
    const header = new Headers();
    if (!this.#copy(headers, header)) return;
    this.#answered = true;
    this.#resolve({ status: headers[":status"] ?? 0, header, trailer: this.#trailer, body: this.#body });
    // A short response may end before its head is told.
    this.#finishIfComplete();
  }

  /** False: the peer sent a header that cannot be one, and the exchange has failed. */
  #copy(from: IncomingHttpHeaders, to: Headers): boolean {
    try {
      for (const [name, values] of Object.entries(from)) {
        if (name.startsWith(":")) continue;
        for (const value of [values ?? []].flat()) to.append(name, value);
      }
      return true;
    } catch (reason) {
      this.#fail(ConnectError.from(reason, Code.Internal));
      return false;
    }
  }

  readonly #onAbort = (): void => {
    if (this.#signal === undefined) return;
    const failure = abortFailure(this.#signal);
    this.#body.abort(failure);
    this.#fail(failure);
  };

  /** A complete response ends the exchange: what is left of the request is not sent. */
  #finishIfComplete(): void {
    if (!this.#answered || !this.#whole || !this.#settle()) return;
    this.#body.end();
    if (!this.#stream.writableFinished) this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  #fail(failure: ConnectError): void {
    if (!this.#settle()) return;
    this.#body.fail(failure);
    this.#reject(failure);
    this.#stream.close(constants.NGHTTP2_CANCEL);
    // Nobody may be reading, and only a stream that flows ends.
    this.#stream.resume();
  }

  #settle(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#upload?.stop();
    return true;
  }
}
