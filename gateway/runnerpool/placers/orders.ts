/** All of them from a start, in a ring. */
export function* ring(size: number, start: number): Generator<number, void, void> {
  for (let i = 0; i < size; i++) yield (start + i) % size;
}

/** The one with the highest score, and then the others by theirs; equal ones in the order of their index. */
export function* bestFirst(size: number, score: (index: number) => number): Generator<number, void, void> {
  if (size < 2) return yield* ring(size, 0);
  const scores = Float64Array.from({ length: size }, (_, index) => score(index));
  const at = (index: number) => scores[index] ?? -Infinity;
  let best = 0;
  for (let index = 1; index < size; index++) if (at(index) > at(best)) best = index;
  yield best;
  const others = Array.from({ length: size }, (_, index) => index).filter((index) => index !== best);
  yield* others.sort((a, b) => at(b) - at(a));
}
