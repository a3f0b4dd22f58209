import type { Need, Place } from "./candidate.ts";
import type { RunnerView } from "./runner-view.ts";
import type { WaitingList } from "./waiting-list.ts";

/** Calls that wait for the same thing: first come, first served. */
export interface Lane {
  readonly key: string;
  readonly share: Share;
  readonly list: WaitingList;
  /** Who may take them, as the pool last said. */
  runners: readonly RunnerView[];
  /** Their version when they last refused a call of it: until they have another one, they would again. */
  readonly refused: Map<RunnerView, number>;
  /** Calls that try again at this moment. */
  out: number;
}

/** What one function had of the runners while it waited. */
export interface Share {
  /** Its calls in the room. */
  size: number;
  /** Places it was given; one that begins to wait begins with the least that any has. */
  served: number;
  /** When it was last given one, or began to wait. */
  servedAt: number;
  /** Its calls that try again at this moment. */
  out: number;
}

/** So many places more than another that waits, and a function gives up what it has warm. */
const LEAD = 64;
/** So long without a place, and the same. */
const PATIENCE_MS = 500;

/**
 * Which of the lanes that wait gets a place at this runner. The function that had the least comes first; but a
 * container stays with its own function, as ending it for another costs a start, until that one has fallen behind.
 */
export function fairChoice(lanes: Iterable<Lane>, runner: RunnerView, now: number): Lane | undefined {
  let own: Lane | undefined;
  let ownIsWarm = false;
  let other: Lane | undefined;
  for (const lane of lanes) {
    const { first } = lane.list;
    const place = first === undefined ? undefined : placeAt(lane, runner, first.need);
    if (place === undefined) continue;
    if (place === "evict") {
      if (isBehind(lane, other)) other = lane;
    } else if (isBehind(lane, own)) {
      own = lane;
      ownIsWarm = place === "warm";
    }
  }
  if (own === undefined || other === undefined) return own ?? other;
  return ownIsWarm && fellBehind(other.share, own.share, now) ? other : own;
}

/** How the runner would take a call of the lane; undefined where it would not, as far as is known. */
export function placeAt({ runners, refused }: Lane, runner: RunnerView, need: Need): Place | undefined {
  if (!runners.includes(runner) || refused.get(runner) === runner.version) return undefined;
  return runner.placeFor(need);
}

function isBehind(lane: Lane, than: Lane | undefined): boolean {
  return than === undefined || lane.share.served < than.share.served;
}

function fellBehind(one: Share, other: Share, now: number): boolean {
  // One that starts a container already is on its way to a place of its own.
  if (one.out > 0) return false;
  return other.served - one.served >= LEAD || now - one.servedAt >= PATIENCE_MS;
}
