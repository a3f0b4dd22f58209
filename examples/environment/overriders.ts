import { overrideCall, withExtension } from "kiln/gateway";

import { cheese } from "./taste.ts";

/** Fn's own example: no tmpfs and no CPU quota, one config key less, and an extension for the driver hook. */
export const overriders = [
  overrideCall((call) => {
    const { FN_CPUS: _dropped, ...config } = call.config;
    return withExtension({ ...call, tmpfsMiB: 0, cpuMillis: 0, config }, cheese, "Tete de Moine");
  }),
];
