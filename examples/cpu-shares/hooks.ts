import { extension, type DockerStartHook } from "kiln/runner";

import { cpuShares } from "./plan.ts";

/** Turns the extension into the container option. Calls with other shares get containers of their own. */
const applyCpuShares: DockerStartHook = (next) => (start, signal) => {
  const shares = extension(start.task, cpuShares);
  if (shares !== undefined) start.options.HostConfig = { ...start.options.HostConfig, CpuShares: shares };
  return next(start, signal);
};

export const startHooks = [applyCpuShares];
