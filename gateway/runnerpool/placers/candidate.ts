/** What a call needs of a runner. */
export interface Need {
  readonly fnId: string;
  /** Equal for calls that can share a hot container. */
  readonly affinityKey: string;
  /** What a container for it books, its tmpfs included. */
  readonly memoryMiB: number;
  /** Thousandths of a core; 0 books nothing. */
  readonly cpuMillis: number;
  /** Calls that a container for it runs at a time. */
  readonly concurrency: number;
}

/** How a runner would take a call: in a container that is there, in a new one, or in the place of an idle one. */
export type Place = "warm" | "free" | "evict";

/** A runner as placers see it: what it last told, less what this gateway has sent there since. */
export interface Candidate {
  readonly address: string;
  /** It can be reached and takes calls, as far as is known. */
  readonly usable: boolean;
  readonly freeMemoryMiB: number;
  readonly freeCpuMillis: number;
  /** 0 before it has told. */
  readonly totalMemoryMiB: number;
  readonly totalCpuMillis: number;
  /** Idle containers of any key. */
  readonly idleTotal: number;
  /** Calls of this gateway that have not ended there. */
  readonly inFlight: number;
  /** The clock's reading when it last told. */
  readonly toldAt: number;
  /** Calls of this key that containers there could run at once. */
  idle(affinityKey: string): number;
  /** How it would take such a call; undefined where, as far as is known, it would not. */
  placeFor(need: Need): Place | undefined;
}

/** All that a decision depends on. */
export interface Snapshot {
  readonly need: Need;
  readonly candidates: readonly Candidate[];
  /** From 0 to below 1: what is left to chance. */
  readonly chance: number;
  readonly now: number;
}

/**
 * Orders the candidates, by their index: who is asked first, second and so on. Each comes once. It depends on the
 * snapshot alone and changes nothing. Read as far as it is needed, so the first should cost the least; what is worked
 * out later sees the candidates, which are live views, as they are then.
 */
export type Rank = (snapshot: Snapshot) => Iterable<number>;
