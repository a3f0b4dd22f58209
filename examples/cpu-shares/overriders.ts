import { overrideCall, withExtension } from "kiln/gateway";

import { cpuShares } from "./plan.ts";

/** Gold plans weigh four times as much as the others when the machine is busy. */
export const overriders = [
  overrideCall((call, c) => withExtension(call, cpuShares, c.req.header("x-plan") === "gold" ? 1024 : 256)),
];
