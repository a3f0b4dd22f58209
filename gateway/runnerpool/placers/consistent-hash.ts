import type { Candidate, Need, Rank, Snapshot } from "./candidate.ts";
import { bestFirst } from "./orders.ts";

/** More than any score: whoever has it comes after all who have it not. */
const LAST = 1_000;

/**
 * Consistent hashing with bounded loads: a function's calls go to the runner that rendezvous hashing gives them,
 * weighted by memory, unless it has more than its share of the calls by this factor; then to the next.
 */
export function consistentHash(loadFactor: number): Rank {
  return (snapshot) => {
    const { candidates, need } = snapshot;
    const over = overloaded(snapshot, loadFactor);
    return bestFirst(candidates.length, (index) => {
      const candidate = candidates[index];
      return candidate === undefined ? -Infinity : rendezvous(need, candidate) - (over(candidate) ? LAST : 0);
    });
  };
}

/** From 0 to 1, higher is first: where a runner joins or leaves, only its own functions move. */
export function rendezvous({ affinityKey }: Need, { address, totalMemoryMiB }: Candidate): number {
  const hash = mix(hashOf(affinityKey) ^ Math.imul(hashOf(address), 0x9e3779b1));
  const score = Math.max(1, totalMemoryMiB) / -Math.log((hash + 0.5) / 2 ** 32);
  return score / (1 + score);
}

/** Whether a runner has its share of this gateway's calls already. */
export function overloaded({ candidates }: Snapshot, loadFactor: number): (candidate: Candidate) => boolean {
  let inFlight = 1;
  let weights = 0;
  for (const one of candidates) {
    if (!one.usable) continue;
    inFlight += one.inFlight;
    weights += Math.max(1, one.totalMemoryMiB);
  }
  return (candidate) => {
    const share = Math.max(1, candidate.totalMemoryMiB) / weights;
    return candidate.inFlight >= Math.ceil(loadFactor * inFlight * share);
  };
}

const hashes = new Map<string, number>();
/** Keys and addresses whose hashes are kept. */
const MOST_HASHES = 4_096;

function hashOf(text: string): number {
  let hash = hashes.get(text);
  if (hash === undefined) {
    if (hashes.size >= MOST_HASHES) hashes.clear();
    hashes.set(text, (hash = fnv1a(text)));
  }
  return hash;
}

function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** Murmur's last step: every bit of the input reaches every bit of the result. */
function mix(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
