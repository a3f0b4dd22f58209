/** A seed at which something broke. */
export interface FoundSeed {
  readonly seed: number;
  readonly error: unknown;
}

/** Tries seeds one after the other, and stops at the first that fails. */
export async function searchSeeds(
  run: (seed: number) => void | Promise<void>,
  { from = 1, seeds }: { readonly from?: number; readonly seeds: number },
): Promise<FoundSeed | undefined> {
  for (let seed = from; seed < from + seeds; seed++) {
    try {
      await run(seed);
    } catch (error) {
      return { seed, error };
    }
  }
  return undefined;
}

/** What a person needs to see the failure again. */
export function describeSeed(level: string, { seed, error }: FoundSeed): string {
  const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `Seed ${seed} fails; replay it with: npm run simulate -- --level ${level} --seed ${seed}\n${what}`;
}
