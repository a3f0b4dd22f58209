/** Chance that repeats itself: the same seed, the same choices. */
export interface Chance {
  /** From 0 to below 1. */
  next(): number;
  /** A whole number from 0 to below `size`. */
  below(size: number): number;
  /** True this often, from 0 to 1. */
  happens(share: number): boolean;
  /** @throws RangeError for an empty list */
  pick<T>(list: readonly T[]): T;
}

/** Mulberry32: small, fast, and good enough to choose what happens next. */
export function chance(seed: number): Chance {
  // Seeds that follow each other must not begin alike.
  let state = Math.imul(seed ^ (seed >>> 16), 0x45d9f3b) >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    below: (size) => Math.floor(next() * size),
    happens: (share) => next() < share,
    pick<T>(list: readonly T[]): T {
      const index = Math.floor(next() * list.length);
      if (index >= list.length) throw new RangeError("Cannot pick from an empty list");
      return list[index] as T;
    },
  };
}
