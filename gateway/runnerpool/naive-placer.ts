import { createPlacer, type PlacerOptions } from "./placers/create-placer.ts";
import type { Placer } from "./runnerpool.ts";

export type NaivePlacerOptions = Omit<PlacerOptions, "placer">;

/** Asks the runners in a ring from a random start until one takes the call. */
export function naivePlacer(options: NaivePlacerOptions): Placer {
  return createPlacer({ ...options, placer: "naive" });
}
