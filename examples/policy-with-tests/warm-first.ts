import { naivePlacer, poolOf, type Placer, type Runner } from "kiln/gateway";

type NaiveOptions = Parameters<typeof naivePlacer>[0];

/**
 * Asks the runner first that last ran a call of the same container: it is the one that may still have it warm.
 * Everything else, from the rounds to the deadlines, is the naive placer's.
 */
export function warmFirst(options: NaiveOptions): Placer {
  const last = new Map<string, Runner>();
  const placer = naivePlacer({ ...options, pickStart: () => 0 });
  return {
    async place(call, pool, signal) {
      const runners = await pool.runners(call, signal);
      const warm = last.get(call.affinityKey);
      const order = warm === undefined ? runners : [warm, ...runners.filter((runner) => runner !== warm)];
      const placement = await placer.place(call, { ...poolOf(order), onCapacity: pool.onCapacity }, signal);
      last.set(call.affinityKey, placement.runner);
      return placement;
    },
  };
}
