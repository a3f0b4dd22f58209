import type { CallError } from "../../core/call-error.ts";
import type { Call } from "../../core/call.ts";
import { containerTask, slotKey } from "../../core/container-task.ts";
import type { Finish, OfferedCall, RefusalScope, ResponseHead } from "../../core/session/frames.ts";
import type { OfferedCallHandler } from "../../runner/rpc/call-port.ts";
import type { Runner } from "../../runner/runner.ts";

/** How an offered call went, as its gateway would hear it. */
export interface Outcome {
  readonly heard: readonly string[];
  readonly head: ResponseHead | undefined;
  readonly body: Buffer;
  readonly containerId: string | undefined;
  readonly finish: Finish | undefined;
  readonly refused: { readonly reason: CallError; readonly scope: RefusalScope } | undefined;
}

export interface OfferOptions {
  readonly body?: string | Uint8Array;
  readonly remainingMs?: number;
  /** False leaves the body open; the test sends the rest. */
  readonly end?: boolean;
}

/** An offer that is under way. */
export interface RunningOffer {
  readonly handler: OfferedCallHandler;
  readonly outcome: Promise<Outcome>;
  /** Resolves once the runner has said this word: "pending", "accepted", "head" or "data". */
  said(word: string): Promise<void>;
}

/** A call as a gateway would offer it, with no more body than this. */
export function offeredFor(
  call: Call,
  { body = "", remainingMs = Infinity, end = true }: OfferOptions = {},
): OfferedCall {
  const affinityKey = slotKey(containerTask(call));
  return { call, remainingMs, affinityKey, body: Buffer.from(body), end, responseCredit: Infinity };
}

/** Offers a call to a runner without a gateway or a wire: starts it when it may, takes all of the answer. */
export function offerTo(runner: Runner, call: Call, options: OfferOptions = {}): RunningOffer {
  const heard: string[] = [];
  const waiting = new Map<string, PromiseWithResolvers<void>>();
  const word = (name: string) => {
    let one = waiting.get(name);
    if (one === undefined) waiting.set(name, (one = Promise.withResolvers<void>()));
    return one;
  };
  const say = (name: string) => {
    heard.push(name);
    word(name).resolve();
  };
  const chunks: Uint8Array[] = [];
  const over = Promise.withResolvers<Outcome>();
  let head: ResponseHead | undefined;
  let containerId: string | undefined;
  const done = (rest: Partial<Outcome>) =>
    over.resolve({
      heard,
      head,
      containerId,
      body: Buffer.concat(chunks),
      finish: undefined,
      refused: undefined,
      ...rest,
    });
  const offered = offeredFor(call, options);

  const handler: OfferedCallHandler = runner.offer(offered, {
    refuse: (reason, scope) => done({ refused: { reason, scope } }),
    pending: () => say("pending"),
    accept(id) {
      containerId = id;
      say("accepted");
      if (heard.includes("pending")) queueMicrotask(() => handler.start());
    },
    head(answer) {
      head = answer;
      say("head");
    },
    write(bytes) {
      chunks.push(bytes);
      say("data");
      return true;
    },
    consumed() {},
    finish: (finish) => done({ finish }),
  });
  return { handler, outcome: over.promise, said: (name) => word(name).promise };
}
