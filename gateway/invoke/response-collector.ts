import { CallError } from "../../core/call-error.ts";
import { ChunkList } from "../../core/session/chunk-list.ts";
import type { Finish, ResponseHead } from "../../core/session/frames.ts";
import type { ResponseSink, Runner } from "../runnerpool/runnerpool.ts";
import type { CallOutcome } from "./call-outcome.ts";

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };
type Controller = ReadableStreamDefaultController<Uint8Array>;

export interface CollectorOptions {
  /** Nobody waits for the answer: it is dropped, and `ready` once a runner has the call. */
  readonly detached: boolean;
  /** A runner starts a container for the call. */
  pending(): void;
  placed(): void;
  /** The call is over, once. */
  ended(failure: CallError | undefined): void;
  /** The client has stopped reading. */
  left(): void;
  /** Resets the client's connection; false where there is none. */
  cut(): boolean;
}

const ACCEPTED: ResponseHead = { status: 202, headers: [] };

/** Takes a runner's answer as it comes, and gives it out whole if it is complete by then, else as a stream. */
export class ResponseCollector implements ResponseSink {
  readonly outcome: Mutable<CallOutcome>;
  readonly #options: CollectorOptions;
  readonly #ready = Promise.withResolvers<void>();
  readonly #finished = Promise.withResolvers<void>();
  #head: ResponseHead | undefined;
  readonly #chunks = new ChunkList();
  /** Returns credit for what was in `#chunks`. */
  #consumed: (bytes: number) => void = () => {};
  #received = 0;
  #declared: number | undefined;
  #complete = false;
  #placed = false;
  #over = false;
  #failure: CallError | undefined;
  /** `given` has ended as the client sees it, before its call has. */
  #stream: "none" | "open" | "given" | "cancelled" | "dropped" = "none";
  /** Set while the client waits for bytes. */
  #waiting: Controller | undefined;
  #controller: Controller | undefined;

  constructor(options: CollectorOptions) {
    this.#options = options;
    this.outcome = {
      runner: undefined,
      containerId: undefined,
      warm: undefined,
      attempts: 0,
      phase: undefined,
      fdkVersion: undefined,
      timings: undefined,
      finished: this.#finished.promise,
    };
  }

  pending(phase: string): void {
    this.outcome.phase = phase;
    this.#options.pending();
  }

  placed(runner: Runner, detail: { readonly containerId: string; readonly warm: boolean }): void {
    this.outcome.runner = runner.address;
    this.outcome.containerId = detail.containerId;
    this.outcome.warm = detail.warm;
    if (this.#over) return;
    this.#placed = true;
    this.#options.placed();
    if (this.#options.detached) this.#ready.resolve();
  }

  head(head: ResponseHead): void {
    this.#head = head;
    this.outcome.fdkVersion = headerOf(head, "fn-fdk-version");
  }

  data(bytes: Uint8Array, consumed: (bytes: number) => void): void {
    this.#received += bytes.length;
    // What nobody reads returns its credit too, or the runner would wait for it.
    if (this.#over || this.#dropping || bytes.length === 0) return consumed(bytes.length);
    if (this.#declared !== undefined && this.#received > this.#declared) return this.#miscounted(this.#declared);
    if (this.#head === undefined)
      return this.fail(new CallError("runner_protocol", "Runner sent a body without its head"));
    this.#chunks.push(bytes);
    this.#consumed = consumed;
    this.#ready.resolve();
    this.#pump();
  }

  finish(finish: Finish): void {
    this.outcome.timings = finish.timings;
    if (this.#over) return;
    if (!finish.ok) {
      const { code, message, status, stderrTail } = finish;
      return this.fail(
        new CallError(code, message || undefined, { ...(status === undefined ? {} : { status }), stderrTail }),
      );
    }
    if (this.#options.detached) return this.#end(undefined);
    if (this.#head === undefined)
      return this.fail(new CallError("runner_protocol", "Runner ended the call without a response"));
    const declared = this.#declared ?? contentLength(this.#head);
    if (declared !== undefined && this.#received !== declared) return this.#miscounted(declared);
    this.#complete = true;
    this.#ready.resolve();
    if (this.#stream === "none" || this.#stream === "open") this.#pump();
    else this.#end(undefined);
  }

  /**
   * Ends the call as failed: before the first byte it can still be said, after it the client's connection is reset,
   * unless all that the client was promised is here.
   */
  fail(failure: CallError): void {
    if (this.#over) return;
    this.#failure = failure;
    if (this.#stream === "open" && this.#received === this.#declared) this.#giveRest();
    const streaming = this.#stream === "open";
    this.#end(failure);
    if (streaming && !this.#options.cut()) this.#controller?.error(failure);
  }

  /** Ends a call whose answer is not wanted any more: the connection goes on with another. */
  abandon(failure: CallError): void {
    if (this.#stream === "open") this.#stream = "cancelled";
    this.fail(failure);
  }

  /** Resolves with the head once there is something to answer with. @throws CallError if the call failed before that */
  async ready(): Promise<ResponseHead> {
    await this.#ready.promise;
    if (this.#options.detached && this.#placed) return ACCEPTED;
    if (this.#failure !== undefined) throw this.#failure;
    return this.#head ?? ACCEPTED;
  }

  /** The whole body, if it is complete; the call is then over. */
  whole(): Uint8Array<ArrayBuffer> | undefined {
    if (!this.#complete) return undefined;
    const chunks = this.#chunks.takeAll();
    const [only] = chunks;
    const bytes = only !== undefined && chunks.length === 1 ? only : Buffer.concat(chunks);
    this.#consumed(bytes.length);
    this.#end(undefined);
    return bytes as Uint8Array<ArrayBuffer>;
  }

  /** Lets the body come and go unseen: its length, once the call is over. @throws CallError if the call failed */
  async dropped(): Promise<number> {
    this.#stream = "dropped";
    this.#dropChunks();
    if (this.#complete) this.#end(undefined);
    await this.#finished.promise;
    if (this.#failure !== undefined) throw this.#failure;
    return this.#received;
  }

  /** The client has all that it was promised, though the runner has not yet ended the call. */
  get delivered(): boolean {
    return (
      this.#stream !== "none" &&
      this.#declared !== undefined &&
      this.#received === this.#declared &&
      this.#chunks.bytes === 0
    );
  }

  /** The length of the body that is to be streamed, if the function declared it; it is then held to it. */
  get declaredBytes(): number | undefined {
    return this.#declared;
  }

  /** The body as it comes, a chunk at a time as the client takes them. From here on a failure resets the connection. */
  stream(): ReadableStream<Uint8Array> {
    this.#stream = "open";
    const declared = contentLength(this.#head);
    if (declared !== undefined && declared >= this.#received) this.#declared = declared;
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => void (this.#controller = controller),
        pull: (controller) => {
          this.#waiting = controller;
          this.#pump();
        },
        cancel: () => {
          this.#stream = "cancelled";
          if (!this.#over && !this.delivered) this.#options.left();
        },
      },
      // Nothing is taken before it is asked for.
      { highWaterMark: 0 },
    );
  }

  get #dropping(): boolean {
    return this.#options.detached || this.#stream === "dropped";
  }

  #miscounted(declared: number): void {
    const message = `Function declared ${declared} bytes and sent ${this.#received}`;
    this.fail(new CallError("function_response", message));
  }

  #pump(): void {
    const controller = this.#waiting;
    if (controller === undefined) return;
    const chunk = this.#chunks.take();
    if (chunk !== undefined) {
      this.#waiting = undefined;
      controller.enqueue(chunk);
      this.#consumed(chunk.length);
      if (this.delivered) this.#give(controller);
    } else if (this.#complete) {
      this.#waiting = undefined;
      controller.close();
      this.#end(undefined);
    }
  }

  /** The client goes on to its next call as soon as it has this answer's length, and must not wait for this one's end. */
  #give(controller: Controller): void {
    this.#stream = "given";
    controller.close();
  }

  #giveRest(): void {
    const controller = this.#controller;
    if (controller === undefined) return;
    for (const chunk of this.#chunks.takeAll()) {
      controller.enqueue(chunk);
      this.#consumed(chunk.length);
    }
    this.#give(controller);
  }

  /** Of what nobody will read; the runner may wait for its credit. */
  #dropChunks(): void {
    const { bytes } = this.#chunks;
    this.#chunks.clear();
    if (bytes > 0) this.#consumed(bytes);
  }

  #end(failure: CallError | undefined): void {
    this.#over = true;
    this.#dropChunks();
    this.#options.ended(failure);
    this.#finished.resolve();
    this.#ready.resolve();
  }
}

function contentLength(head: ResponseHead | undefined): number | undefined {
  const declared = headerOf(head, "content-length");
  return declared !== undefined && /^\d+$/.test(declared) ? Number(declared) : undefined;
}

function headerOf(head: ResponseHead | undefined, lowerName: string): string | undefined {
  return head?.headers.find(([name]) => name.length === lowerName.length && name.toLowerCase() === lowerName)?.[1];
}
