import { CallError } from "../../core/call-error.ts";
import type { Call, HeaderList } from "../../core/call.ts";
import type { Clock } from "../../core/clock.ts";
import type { HotCall, RunCall } from "../driver/driver.ts";
import type { AnswerHandler, Exchange, FunctionRequest } from "../hot/function-client.ts";
import type { HotFunction } from "../hot/hot-function.ts";
import type { CallPort } from "../rpc/call-port.ts";
import { explainBreak } from "./explain-break.ts";
import { functionHeaders, responseHeaders } from "./function-headers.ts";

export interface ExchangeOptions {
  readonly call: Call;
  readonly hot: HotFunction;
  readonly body: FunctionRequest["body"];
  readonly port: CallPort;
  /** Where the operator has hooks around calls. */
  readonly wrap: ((run: RunCall) => RunCall) | undefined;
  readonly clock: Clock;
  /** 0 sets no limit. */
  readonly maxResponseBytes: number;
  /** For `Fn-Deadline`, milliseconds since 1970. */
  readonly deadlineWallMs: number;
  /** The function may see the call from now on. */
  readonly begun: () => void;
  /** Whether the call may have another container as long as its function has not seen it. */
  readonly mayMove: boolean;
  /** The call has failed for its client, though its function still runs. */
  readonly doomed: (reason: CallError) => void;
}

export interface RunningCall {
  /** How it ended. Never rejects. */
  readonly over: Promise<Ended>;
  /** The gateway has room for more of the answer. */
  resume(): void;
  abort(reason: CallError): void;
  /** Nobody listens any more: the function runs on, its answer is dropped. */
  mute(): void;
}

/** Sends one call to its function, inside the call hooks, and passes the answer on as it comes. */
export function exchange(options: ExchangeOptions): RunningCall {
  const answer = new Answer(options);
  return options.wrap === undefined ? plainly(answer, options) : hooked(answer, options, options.wrap);
}

/** Without hooks nothing can come between an answer and its end, nor keep an aborted call from ending. */
function plainly(answer: Answer, { hot, clock }: ExchangeOptions): RunningCall {
  return {
    over: answer.run().then(
      () => ENDED_WELL,
      (error: unknown) => brokenOff(error, answer, hot, clock),
    ),
    resume: () => answer.resume(),
    abort: (reason) => answer.abort(reason),
    mute: () => answer.mute(),
  };
}

async function brokenOff(error: unknown, answer: Answer, hot: HotFunction, clock: Clock): Promise<Ended> {
  if (answer.unreached && answer.mayMove) {
    const failure = new CallError("server_busy", "Container was gone before the call reached it");
    return { failure, broken: true, moves: true };
  }
  return { failure: await explainBreak(error, hot, clock), broken: error !== answer.harmless };
}

function hooked(answer: Answer, options: ExchangeOptions, wrap: (run: RunCall) => RunCall): RunningCall {
  const { call, hot, clock } = options;
  const controller = new AbortController();
  const run = wrap((_hotCall, signal) => {
    if (signal.aborted) return Promise.reject(CallError.from(signal.reason));
    return answer.run();
  });
  const hotCall: HotCall = {
    id: call.id,
    task: hot.task,
    extensions: call.extensions,
    callExtensions: call.callExtensions,
    headers: call.headers,
    containerId: hot.container.id,
  };
  const givenUp = Promise.withResolvers<Ended>();
  const over = Promise.race([ended(run(hotCall, controller.signal), answer, hot, clock), givenUp.promise]);
  return {
    over,
    resume: () => answer.resume(),
    abort(reason) {
      controller.abort(reason);
      answer.abort(reason);
      // A hook that ignores its signal must not hold the call, its slot and the drain.
      const cancel = clock.after(ABORT_GRACE_MS, () => givenUp.resolve({ failure: reason, broken: true }));
      void over.then(cancel);
    },
    mute: () => answer.mute(),
  };
}

interface Ended {
  readonly failure: CallError | undefined;
  /** The container cannot run another call. */
  readonly broken: boolean;
  /** Nothing of it ran, and another container may run it. */
  readonly moves?: true;
}

const ENDED_WELL: Ended = { failure: undefined, broken: false };

/** For a hook to end once its signal has aborted. */
const ABORT_GRACE_MS = 500;

/** What a hook says of the call counts, but not of the container: that is for the function's answer to show. */
async function ended(hooked: Promise<void>, answer: Answer, hot: HotFunction, clock: Clock): Promise<Ended> {
  let hookError: unknown;
  try {
    await hooked;
  } catch (error) {
    hookError = error;
  }
  if (!answer.over) {
    // It never called `next`, or did not wait for it.
    const failure = CallError.from(hookError ?? new Error("a call hook did not wait for next()"), "hook_failed");
    answer.abort(failure);
    return { failure, broken: true };
  }
  if (answer.error !== undefined) return brokenOff(answer.error, answer, hot, clock);
  if (hookError === undefined) return ENDED_WELL;
  return { failure: CallError.from(hookError, "hook_failed"), broken: true };
}

/** The function's answer to one call. */
class Answer implements AnswerHandler {
  readonly #options: ExchangeOptions;
  readonly #done = Promise.withResolvers<void>();
  #exchange: Exchange | undefined;
  #begun = false;
  #muted: boolean;
  #bytes = 0;
  /** Set for an answer that is a failure of its own; its body is read and dropped. */
  #failure: CallError | undefined;

  constructor(options: ExchangeOptions) {
    this.#options = options;
    // A detached call's client was answered when the call was placed.
    this.#muted = options.call.type === "detached";
    // An abort may come before `run`, when nobody listens yet.
    this.#done.promise.catch(() => {});
  }

  /** A failure after which the container can run another call: its function has ended this one. */
  harmless: CallError | undefined;
  /** Why there is no good answer, once it is over. */
  error: unknown;
  over = false;
  /** Nobody listened any more when the call came. */
  unreached = false;

  get mayMove(): boolean {
    return this.#options.mayMove;
  }

  run(): Promise<void> {
    // A call that ended before its hooks came to run it.
    if (this.over) return this.#done.promise;
    const { call, hot, body, deadlineWallMs } = this.#options;
    this.#exchange = hot.client.send({ headers: functionHeaders(call, deadlineWallMs), body }, this);
    return this.#done.promise;
  }

  begun(): void {
    this.#begun = true;
    this.#options.begun();
  }

  resume(): void {
    this.#exchange?.resume();
  }

  abort(reason: CallError): void {
    if (this.#exchange === undefined) this.#fail(reason);
    else this.#exchange.abort(reason);
  }

  mute(): void {
    this.#muted = true;
    this.resume();
  }

  head(status: number, headers: HeaderList): void {
    const { port, maxResponseBytes } = this.#options;
    if (status === 502) this.#failure = new CallError("function_failed");
    else if (status === 504) this.#failure = new CallError("call_timeout", "Timed out: the function says so");
    else if (status !== 200) this.#failure = invalidStatus(status);
    if (this.#failure !== undefined) return;
    const length = Number(headers.find(([name]) => name.toLowerCase() === "content-length")?.[1] ?? 0);
    if (maxResponseBytes > 0 && length > maxResponseBytes) return this.#tooBig(length);
    if (!this.#muted) port.head({ status: 200, headers: responseHeaders(headers) });
  }

  data(bytes: Uint8Array): boolean {
    if (this.#failure !== undefined || this.#muted) return true;
    this.#bytes += bytes.length;
    const { port, maxResponseBytes } = this.#options;
    if (maxResponseBytes > 0 && this.#bytes > maxResponseBytes) {
      this.#tooBig(this.#bytes);
      return true;
    }
    return port.write(bytes);
  }

  end(): void {
    if (this.#failure === undefined) {
      this.over = true;
      return this.#done.resolve();
    }
    if (this.#failure.code !== "function_invalid_response") this.harmless = this.#failure;
    this.#fail(this.#failure);
  }

  failed(error: Error): void {
    this.unreached = !this.#begun && isDeadSocket(error);
    this.#fail(this.#failure ?? error);
  }

  #fail(error: unknown): void {
    if (this.over) return;
    this.over = true;
    this.error = error;
    this.#done.reject(error);
  }

  /** Tells the client at once, and drops the rest: the container is free when its function has ended. */
  #tooBig(bytes: number): void {
    const limit = this.#options.maxResponseBytes;
    this.#failure = new CallError(
      "function_response_too_big",
      `function response body too large: ${bytes} bytes, the limit is ${limit}`,
    );
    this.#options.doomed(this.#failure);
    // A piece before may have had to wait for room, which nobody makes any more.
    this.resume();
  }
}

/** Its process is gone, or its socket is: nothing that was sent there can have been read. */
function isDeadSocket(error: Error): boolean {
  const { code, syscall }: NodeJS.ErrnoException = error;
  return syscall === "connect" && (code === "ECONNREFUSED" || code === "ENOENT");
}

function invalidStatus(status: number): CallError {
  return new CallError(
    "function_invalid_response",
    `invalid function response: status ${status}, expected 200, 502 or 504`,
  );
}
