import type { Clock } from "../../../core/clock.ts";
import type { ResponseSink, Runner, RunnerCall } from "../runnerpool.ts";
import type { Candidate, Snapshot } from "./candidate.ts";

/** A line of a placement log: how a call was placed, or what it came to. Times are milliseconds. */
export type PlacementLine = PlacedLine | EndedLine;

export interface PlacedLine {
  readonly kind: "placed";
  /** Wall clock. */
  readonly at: number;
  readonly call: string;
  readonly fn: string;
  readonly key: string;
  readonly memoryMiB: number;
  readonly cpuMillis: number;
  readonly idleTimeoutMs: number;
  readonly placer: string;
  readonly waitedMs: number;
  readonly runner: string;
  readonly warm: boolean;
  /** As they were when all were last asked, in the order in which they were; empty for who was woken for a place. */
  readonly runners: readonly RunnerFacts[];
}

export interface RunnerFacts {
  readonly address: string;
  readonly usable: boolean;
  readonly freeMemoryMiB: number;
  readonly totalMemoryMiB: number;
  readonly freeCpuMillis: number;
  readonly totalCpuMillis: number;
  /** For this call. */
  readonly idle: number;
  readonly inFlight: number;
  /** How old what it told is. */
  readonly ageMs: number;
}

export interface EndedLine {
  readonly kind: "ended";
  readonly call: string;
  readonly code: string | undefined;
  readonly runMs: number;
  /** From the start of its container to its socket; 0 for a warm call. */
  readonly startMs: number;
}

/** Follows one call from its search to its end. */
export class PlacementNotes {
  readonly #clock: Clock;
  readonly #write: (line: PlacementLine) => void;
  readonly #placer: string;
  readonly #call: RunnerCall;
  readonly #began: number;
  #runners: readonly RunnerFacts[] = [];

  constructor(call: RunnerCall, placer: string, clock: Clock, write: (line: PlacementLine) => void) {
    this.#call = call;
    this.#placer = placer;
    this.#clock = clock;
    this.#write = write;
    this.#began = clock.now();
  }

  /** The same call, whose placement and end are noted. */
  get followed(): RunnerCall {
    const { sink } = this.#call;
    const followed: ResponseSink = {
      pending: (phase) => sink.pending(phase),
      placed: (runner, detail) => {
        this.#placed(runner, detail.warm);
        sink.placed(runner, detail);
      },
      head: (head) => sink.head(head),
      data: (bytes, consumed) => sink.data(bytes, consumed),
      finish: (finish) => {
        const { runMs, startMs, initMs } = finish.timings;
        const code = finish.ok ? undefined : finish.code;
        this.#write({ kind: "ended", call: this.#call.call.id, code, runMs, startMs: startMs + initMs });
        sink.finish(finish);
      },
    };
    return { ...this.#call, body: () => this.#call.body(), sink: followed };
  }

  /** All runners are asked, in this order. */
  ranked({ need, candidates, now }: Snapshot, order: readonly number[]): void {
    this.#runners = order.flatMap((index) => {
      const candidate = candidates[index];
      return candidate === undefined ? [] : [factsOf(candidate, need.affinityKey, now)];
    });
  }

  #placed(runner: Runner, warm: boolean): void {
    const { call, affinityKey } = this.#call;
    this.#write({
      kind: "placed",
      at: this.#clock.wallMs(),
      call: call.id,
      fn: call.fnId,
      key: affinityKey,
      memoryMiB: call.memoryMiB + call.tmpfsMiB,
      cpuMillis: call.cpuMillis,
      idleTimeoutMs: call.idleTimeoutMs,
      placer: this.#placer,
      waitedMs: this.#clock.now() - this.#began,
      runner: runner.address,
      warm,
      runners: this.#runners,
    });
  }
}

function factsOf(candidate: Candidate, key: string, now: number): RunnerFacts {
  const { address, usable, freeMemoryMiB, totalMemoryMiB, freeCpuMillis, totalCpuMillis, inFlight } = candidate;
  const rooms = { freeMemoryMiB, totalMemoryMiB, freeCpuMillis, totalCpuMillis };
  return { address, usable, ...rooms, idle: candidate.idle(key), inFlight, ageMs: Math.round(now - candidate.toldAt) };
}
