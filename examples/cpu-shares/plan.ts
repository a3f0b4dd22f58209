import { defineExtension, z } from "kiln/extension";

/** The relative weight of a container's CPU time, as Docker's `--cpu-shares`: what both sides agree on. */
export const cpuShares = defineExtension("cpu-shares", z.coerce.number().int().min(2).max(262_144));
