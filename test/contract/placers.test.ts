import { createPlacer, PLACERS } from "../../gateway/runnerpool/placers/create-placer.ts";
import { describePlacer } from "../../kiln/testing/describe-placer.ts";

for (const placer of PLACERS) describePlacer(placer, (options) => createPlacer({ ...options, placer }));

describePlacer("an operator's own", (options) =>
  createPlacer({ ...options, placer: ({ candidates }) => candidates.map((_, index) => candidates.length - 1 - index) }),
);
