import { setImmediate as turn } from "node:timers/promises";

import { CallError } from "../../core/call-error.ts";
import type { ErrorCode } from "../../core/error-codes.ts";
import {
  NO_CAPACITY,
  NO_TIMINGS,
  type Capacity,
  type RefusalScope,
  type ResponseHead,
  type Timings,
} from "../../core/session/frames.ts";
import type {
  CapacityNews,
  Offer,
  ResponseSink,
  Runner,
  RunnerCall,
  RunnerLabels,
  RunnerLoad,
  RunnerStatus,
} from "../../gateway/runnerpool/runnerpool.ts";

/** What a fake runner does with the calls it is offered. */
export type Behaviour = (call: RunnerCall, runner: Runner, signal: AbortSignal) => Offer | Promise<Offer>;

/** What happens after a fake runner took a call. */
export type Script = (sink: ResponseSink, call: RunnerCall, signal: AbortSignal) => void | Promise<void>;

export interface FakeAnswer {
  readonly status?: number;
  readonly headers?: ResponseHead["headers"];
  readonly timings?: Timings;
}

const ROOMY: Capacity = {
  ...NO_CAPACITY,
  freeMemoryMiB: 1_024,
  freeCpuMillis: 1_000,
  totalMemoryMiB: 1_024,
  totalCpuMillis: 1_000,
};

/** A runner without a machine: behaves as it is told, and remembers what it was offered. */
export class FakeRunner implements Runner {
  readonly address: string;
  labels: RunnerLabels = {};
  connected = true;
  draining = false;
  inFlight = 0;
  capacity: Capacity | undefined = ROOMY;
  toldAt = 0;
  readonly offered: RunnerCall[] = [];
  readonly signals: AbortSignal[] = [];
  disposed = false;
  readonly #behaviour: Behaviour;
  readonly #hearers = new Set<(news: CapacityNews) => void>();

  constructor(address: string, behaviour: Behaviour = answers("")) {
    this.address = address;
    this.#behaviour = behaviour;
  }

  get load(): RunnerLoad {
    const { capacity, toldAt, inFlight, draining } = this;
    return { capacity, toldAt, inFlight, draining };
  }

  tryCall(call: RunnerCall, signal: AbortSignal): Promise<Offer> {
    this.offered.push(call);
    this.signals.push(signal);
    return Promise.resolve(this.#behaviour(call, this, signal));
  }

  status(): Promise<RunnerStatus> {
    return Promise.resolve({
      runnerId: this.address,
      bootId: "fake",
      version: "fake",
      isolation: "container",
      draining: false,
      active: 0,
      received: this.offered.length,
      handled: this.offered.length,
      capacity: this.capacity ?? ROOMY,
      check: undefined,
    });
  }

  onCapacity(hear: (news: CapacityNews) => void): () => void {
    this.#hearers.add(hear);
    return () => void this.#hearers.delete(hear);
  }

  /** Says what it has. */
  tell(capacity: Partial<Capacity> = {}): void {
    this.capacity = { ...ROOMY, ...capacity };
    this.toldAt += 1;
    this.#say({ kind: "told", runner: this });
  }

  /** A call that it took is over. */
  ended(call: RunnerCall, code?: ErrorCode): void {
    this.#say({ kind: "ended", runner: this, call, placed: true, code });
  }

  #say(news: CapacityNews): void {
    for (const hear of this.#hearers) hear(news);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.disposed = true;
    return Promise.resolve();
  }
}

/** Takes the call and answers at once, all of it. */
export function answers(
  body: string | Uint8Array,
  { status = 200, headers = [], timings = NO_TIMINGS }: FakeAnswer = {},
): Behaviour {
  return runs((sink) => {
    sink.head({ status, headers });
    if (body.length > 0) sink.data(Buffer.from(body), () => {});
    sink.finish({ ok: true, timings });
  });
}

/** Takes the call, and then does what the script says. */
export function runs(script: Script): Behaviour {
  return (call, runner, signal) => {
    call.sink.placed(runner, { containerId: "container-1", warm: true });
    void script(call.sink, call, signal);
    return { placed: true };
  };
}

/** Takes the call, and fails it before its first byte. */
export function fails(
  code: ErrorCode,
  message = "",
  more: { readonly stderrTail?: string; readonly status?: number } = {},
): Behaviour {
  return runs((sink) => {
    const { stderrTail = "", status } = more;
    sink.finish({ ok: false, timings: NO_TIMINGS, code, message, status, stderrTail });
  });
}

/** Does not take the call. */
export function refuses(code: ErrorCode = "server_busy", scope: RefusalScope = "this_runner"): Behaviour {
  return () => ({ placed: false, reason: new CallError(code), scope });
}

/** Answers with the bytes of the request, as they come. */
export const echoes: Behaviour = runs(async (sink, call) => {
  sink.head({ status: 200, headers: [["Content-Type", "application/octet-stream"]] });
  for await (const bytes of bodyOf(call)) sink.data(bytes, () => {});
  sink.finish({ ok: true, timings: NO_TIMINGS });
});

/** A call's request body, from its first byte. */
export async function* bodyOf(call: RunnerCall): AsyncGenerator<Uint8Array, void, void> {
  const body = call.body();
  if ("whole" in body) {
    yield body.whole;
    return;
  }
  yield body.stream.first;
  yield* body.stream.rest();
}

/** All of a call's request body. */
export async function readBody(call: RunnerCall): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const bytes of bodyOf(call)) chunks.push(bytes);
  return Buffer.concat(chunks);
}

/** Gives the other side a few turns of the event loop. */
export async function someTurns(turns = 10): Promise<void> {
  for (let i = 0; i < turns; i++) await turn();
}
