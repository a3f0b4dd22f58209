import type { Rank, Snapshot } from "./candidate.ts";
import { overloaded, rendezvous } from "./consistent-hash.ts";
import { loadFor } from "./least-loaded.ts";
import { bestFirst } from "./orders.ts";

const WARM = 10;
/** More than any score by hashing. */
const OVER_ITS_SHARE = 2;
const NO_PLACE = 4;

/**
 * Runners with an idle container for the call first, of them the least loaded; then by consistent hashing with
 * bounded loads, so that a function's containers are where its next calls look for them.
 */
export function warmFirst(loadFactor: number): Rank {
  return function* (snapshot) {
    const warmest = leastLoadedWarm(snapshot);
    if (warmest !== undefined) yield warmest;
    // Most calls ask no further, and all that follows costs more.
    for (const index of byScore(snapshot, loadFactor)) if (index !== warmest) yield index;
  };
}

function leastLoadedWarm({ candidates, need }: Snapshot): number | undefined {
  let best: number | undefined;
  let least = Infinity;
  for (let index = 0; index < candidates.length; index++) {
    const candidate = candidates[index];
    if (candidate === undefined || candidate.idle(need.affinityKey) === 0 || !candidate.usable) continue;
    const load = loadFor(need, candidate);
    if (load >= least) continue;
    least = load;
    best = index;
  }
  return best;
}

function byScore(snapshot: Snapshot, loadFactor: number): Iterable<number> {
  const { candidates, need } = snapshot;
  const over = overloaded(snapshot, loadFactor);
  return bestFirst(candidates.length, (index) => {
    const candidate = candidates[index];
    if (candidate === undefined) return -Infinity;
    const place = candidate.usable ? candidate.placeFor(need) : undefined;
    if (place === "warm") return WARM - loadFor(need, candidate);
    const hashed = rendezvous(need, candidate);
    return hashed - (over(candidate) ? OVER_ITS_SHARE : 0) - (place === undefined ? NO_PLACE : 0);
  });
}
