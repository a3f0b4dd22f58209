import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";

import type { AnswerHandler, Exchange, FunctionRequest } from "./function-client.ts";
import { RequestUpload } from "./request-upload.ts";
import { ResponseParser } from "./response-parser.ts";

/** What is read lands here before it is copied: every read is done with before the next begins, of any connection. */
const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024);
/** Head and body in one write, which costs a copy of the body. */
const ONE_WRITE_BYTES = 16 * 1024;

export interface ConnectionOptions {
  readonly socketPath: string;
  readonly maxHeaderBytes: number;
  /** It carries no exchange now and may carry another. */
  idle(connection: FunctionConnection): void;
  closed(connection: FunctionConnection): void;
}

/** One connection to a function: one exchange at a time, and never again after one that did not end cleanly. */
export class FunctionConnection {
  /** Clock reading of the end of the last exchange. */
  idleSince = 0;
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  #exchange: RunningExchange | undefined;
  #closed = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const onread = { buffer: READ_BUFFER, callback: (bytes: number) => this.#read(READ_BUFFER.subarray(0, bytes)) };
    this.#socket = connect({ path: options.socketPath, onread });
    this.#socket.on("connect", () => this.#exchange?.handler.begun());
    this.#socket.on("error", (error) => this.#end(error));
    this.#socket.on("end", () => this.#ended());
    this.#socket.on("close", () => this.#end(new Error("it was closed before the answer was complete")));
    this.#socket.on("drain", () => this.#exchange?.upload?.drained());
  }

  /** Begins an exchange. To be called only while there is none. */
  send(request: FunctionRequest, exchange: RunningExchange): void {
    this.#exchange = exchange;
    exchange.begin(
      {
        resume: () => this.#socket.resume(),
        cut: () => this.#socket.destroy(),
      },
      new ResponseParser(this.#options.maxHeaderBytes, {
        head: (status, headers) => exchange.handler.head(status, headers),
        body: (bytes) => {
          if (!exchange.handler.data(Buffer.from(bytes))) this.#socket.pause();
        },
        complete: (reusable) => this.#complete(exchange, reusable),
      }),
    );
    // What is written before it has connected goes nowhere if it does not connect.
    if (!this.#socket.connecting) exchange.handler.begun();
    this.#write(request, exchange);
  }

  close(): void {
    this.#socket.destroy();
  }

  #write({ headers, body }: FunctionRequest, exchange: RunningExchange): void {
    if ("stream" in body) {
      this.#socket.write(requestHead(headers, "transfer-encoding: chunked"), "latin1");
      exchange.upload = new RequestUpload(this.#socket, body.stream, (error) => this.#end(error));
      return;
    }
    const { whole } = body;
    const head = requestHead(headers, `content-length: ${whole.length}`);
    if (whole.length <= ONE_WRITE_BYTES) {
      const bytes = Buffer.allocUnsafe(head.length + whole.length);
      bytes.write(head, "latin1");
      bytes.set(whole, head.length);
      this.#socket.write(bytes);
      return;
    }
    this.#socket.cork();
    this.#socket.write(head, "latin1");
    this.#socket.write(whole);
    this.#socket.uncork();
  }

  /** False stops the reading until `resume`. */
  #read(bytes: Buffer): boolean {
    const parser = this.#exchange?.parser;
    // Nothing was asked for.
    if (parser === undefined) return this.#cut();
    try {
      parser.push(bytes);
    } catch (error) {
      this.#end(error);
    }
    return !this.#socket.isPaused();
  }

  #cut(): boolean {
    this.#socket.destroy();
    return false;
  }

  #ended(): void {
    try {
      this.#exchange?.parser?.end();
    } catch (error) {
      return this.#end(error);
    }
    this.#socket.destroy();
  }

  #complete(exchange: RunningExchange, reusable: boolean): void {
    if (this.#exchange !== exchange) return;
    this.#exchange = undefined;
    const sent = exchange.upload?.stop() ?? true;
    // One that answered before it had read everything may take the rest for another call.
    if (reusable && sent && !this.#closed) {
      // Who wanted to wait with the last piece has it by now.
      if (this.#socket.isPaused()) this.#socket.resume();
      this.#options.idle(this);
    } else this.#socket.destroy();
    exchange.ended();
  }

  #end(reason: unknown): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    this.#socket.destroy();
    if (!this.#closed) {
      this.#closed = true;
      this.#options.closed(this);
    }
    exchange?.upload?.stop();
    exchange?.failed(reason instanceof Error ? reason : new Error(String(reason)));
  }
}

/** One exchange, from before it has a connection to its end. */
export class RunningExchange implements Exchange {
  readonly handler: AnswerHandler;
  parser: ResponseParser | undefined;
  upload: RequestUpload | undefined;
  #aborted: Error | undefined;
  #over = false;
  #controls: { resume(): void; cut(): void } | undefined;

  constructor(handler: AnswerHandler) {
    this.handler = handler;
  }

  begin(controls: { resume(): void; cut(): void }, parser: ResponseParser): void {
    this.#controls = controls;
    this.parser = parser;
  }

  resume(): void {
    if (!this.#over) this.#controls?.resume();
  }

  abort(reason: Error): void {
    if (this.#over) return;
    this.#aborted ??= reason;
    this.#controls?.cut();
    this.failed(reason);
  }

  ended(): void {
    if (this.#over) return;
    this.#over = true;
    this.handler.end();
  }

  failed(error: Error): void {
    if (this.#over) return;
    this.#over = true;
    this.handler.failed(this.#aborted ?? error);
  }
}

// What would end a header early; names and values were checked before, and this is the last look.
const FORBIDDEN = /[\0\r\n]/;

function requestHead(headers: FunctionRequest["headers"], framing: string): string {
  let head = `POST /call HTTP/1.1\r\nhost: localhost\r\nconnection: keep-alive\r\n${framing}\r\n`;
  for (const [name, value] of headers) {
    if (FORBIDDEN.test(value) || FORBIDDEN.test(name))
      throw new Error(`Cannot send header ${JSON.stringify(name)}: it ends its line`);
    head += `${name}: ${value}\r\n`;
  }
  return `${head}\r\n`;
}
