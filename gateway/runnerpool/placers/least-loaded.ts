import type { Candidate, Need, Rank } from "./candidate.ts";
import { bestFirst, ring } from "./orders.ts";

/** Up to so many runners all are looked at; of more, two that chance chooses: nearly as even, and as cheap for any number. */
const FULL_SCAN = 16;
/** So little that only runners that are loaded alike are told apart by it. */
const IN_FLIGHT = 1e-6;
const CHANCE = 1e-9;

/** The runner first that has the least of its memory and CPU booked, as it last told. */
export const leastLoaded: Rank = ({ candidates, need, chance }) => {
  const size = candidates.length;
  const start = Math.floor(chance * size);
  const score = (index: number) => {
    const candidate = candidates[index];
    if (candidate === undefined) return -Infinity;
    return -loadFor(need, candidate) - CHANCE * (((index - start + size) % size) / size);
  };
  return size <= FULL_SCAN ? bestFirst(size, score) : betterOfTwo(size, chance, score);
};

/** From 0; 2 and more where, as far as is known, it would not take the call. */
export function loadFor(need: Need, candidate: Candidate): number {
  const { usable, inFlight } = candidate;
  const refusing = usable && candidate.placeFor(need) !== undefined ? 0 : 2;
  return booked(candidate) + inFlight * IN_FLIGHT + refusing;
}

/** The share of its memory or its CPU that is booked, whichever is larger. */
function booked({ freeMemoryMiB, totalMemoryMiB, freeCpuMillis, totalCpuMillis }: Candidate): number {
  if (totalMemoryMiB === 0) return 1;
  const cpu = totalCpuMillis === 0 ? 0 : 1 - freeCpuMillis / totalCpuMillis;
  return Math.max(1 - freeMemoryMiB / totalMemoryMiB, cpu);
}

function* betterOfTwo(size: number, chance: number, score: (index: number) => number): Generator<number, void, void> {
  const first = Math.floor(chance * size);
  const fraction = chance * size - first;
  const second = (first + 1 + Math.floor(fraction * (size - 1))) % size;
  const [better, worse] = score(first) >= score(second) ? [first, second] : [second, first];
  yield better;
  yield worse;
  for (const index of ring(size, first)) if (index !== first && index !== second) yield index;
}
