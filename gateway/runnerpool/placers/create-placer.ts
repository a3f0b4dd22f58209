import { CallError } from "../../../core/call-error.ts";
import type { Clock } from "../../../core/clock.ts";
import { nearestName } from "../../../core/nearest-name.ts";
import type { Placer } from "../runnerpool.ts";
import type { Rank } from "./candidate.ts";
import { consistentHash } from "./consistent-hash.ts";
import { leastLoaded } from "./least-loaded.ts";
import { Ledger } from "./ledger.ts";
import { naive } from "./naive.ts";
import { PlacementNotes, type PlacementLine } from "./placement-log.ts";
import { Search, type SearchPlan } from "./search.ts";
import { WaitingRoom, type QueueLimits } from "./waiting-room.ts";
import { warmFirst } from "./warm-first.ts";

/** The placers there are; `FN_PLACER` takes one, and so does `withPlacer` for a call. */
export const PLACERS = ["naive", "ch", "least-loaded", "warm-first"] as const;
export type PlacerName = (typeof PLACERS)[number];

export interface PlacerOptions {
  /** By its name, or one of your own. */
  readonly placer?: PlacerName | Rank;
  readonly clock: Clock;
  /** How long a call may look for a runner; how long it then runs is the call's own affair. */
  readonly timeoutMs: number;
  /** The same for detached calls. */
  readonly detachedTimeoutMs: number;
  /** Wait before all runners are asked again though none told of room, at first; it doubles up to 64 times that. */
  readonly retryDelayMs: number;
  readonly queue?: QueueLimits;
  /** What share of the calls hashing may give a runner: 1.25 is a quarter more than its part. */
  readonly hashLoadFactor?: number;
  /** From 0 to below 1. */
  readonly random?: () => number;
  /** Where placements are noted, for `kiln replay`; nowhere, unless told. */
  readonly log?: ((line: PlacementLine) => void) | undefined;
}

export const DEFAULT_QUEUE: QueueLimits = { perFunction: 2_500, total: 10_000 };
export const DEFAULT_PLACER: PlacerName = "warm-first";
const DEFAULT_LOAD_FACTOR = 1.25;

/** Asks runners in the order of its `Rank`, and has calls wait in one queue where none takes them. */
export function createPlacer(options: PlacerOptions): Placer {
  const { placer = DEFAULT_PLACER, clock, queue = DEFAULT_QUEUE, retryDelayMs, random = Math.random, log } = options;
  const room = new WaitingRoom({ clock, limits: queue, retryDelayMs, random });
  const parts = { clock, room, random, ledger: new Ledger(room) };
  const ranks = ranksBy(options.hashLoadFactor ?? DEFAULT_LOAD_FACTOR);
  const usual = typeof placer === "function" ? placer : ranks[placer];
  return {
    place(call, pool, signal) {
      parts.ledger.follow(pool);
      const timeoutMs = call.call.type === "detached" ? options.detachedTimeoutMs : options.timeoutMs;
      const wished = call.call.placement?.placer;
      const plan: SearchPlan = { call, pool, timeoutMs, rank: wished === undefined ? usual : rankOf(wished, ranks) };
      if (log === undefined) return new Search(parts, plan, signal).run();
      const name = wished ?? (typeof placer === "function" ? "own" : placer);
      const notes = new PlacementNotes(call, name, clock, log);
      const ranked: SearchPlan["ranked"] = (snapshot, order) => notes.ranked(snapshot, order);
      return new Search(parts, { ...plan, call: notes.followed, ranked }, signal).run();
    },
  };
}

/** The rules behind the names. */
export function ranksBy(loadFactor: number): Readonly<Record<PlacerName, Rank>> {
  return {
    naive,
    ch: consistentHash(loadFactor),
    "least-loaded": leastLoaded,
    "warm-first": warmFirst(loadFactor),
  };
}

function rankOf(name: string, ranks: Readonly<Record<string, Rank>>): Rank {
  const rank = Object.hasOwn(ranks, name) ? ranks[name] : undefined;
  if (rank !== undefined) return rank;
  const meant = nearestName(name, PLACERS, 3);
  const hint = meant === undefined ? `expected one of ${PLACERS.join(", ")}` : `did you mean "${meant}"`;
  throw new CallError("override_invalid", `Operator's middleware asked for placer "${name}", ${hint}`);
}
