import { createPlacer, type Placer, type PlacerOptions, type Rank } from "kiln/gateway";

/**
 * Asks the runner first that has an idle container for the call, and the others in the order they were listed.
 * Everything else, from the queue to the deadlines, is every placer's.
 */
const warmThenListed: Rank = ({ need, candidates }) => {
  const idle = candidates.map((candidate) => candidate.idle(need.affinityKey));
  return candidates.map((_, index) => index).sort((a, b) => (idle[b] ?? 0) - (idle[a] ?? 0) || a - b);
};

export function warmFirst(options: Omit<PlacerOptions, "placer">): Placer {
  return createPlacer({ ...options, placer: warmThenListed });
}
