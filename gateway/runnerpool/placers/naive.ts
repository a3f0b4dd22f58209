import type { Rank } from "./candidate.ts";
import { ring } from "./orders.ts";

/** In a ring from a random start: Fn's default. */
export const naive: Rank = ({ candidates, chance }) => ring(candidates.length, Math.floor(chance * candidates.length));
