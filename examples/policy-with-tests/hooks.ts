import { extension, type CallHook, type DockerStartHook } from "kiln/runner";

import { plan } from "./plans.ts";

/** Free containers give way when the machine is busy, and may hold fewer processes. */
const byPlan: DockerStartHook = (next) => (start, signal) => {
  const free = extension(start.task, plan) !== "gold";
  const { HostConfig } = start.options;
  start.options.HostConfig = { ...HostConfig, CpuShares: free ? 128 : 1024, ...(free ? { PidsLimit: 20 } : {}) };
  return next(start, signal);
};

/** Running time by plan, for a bill. */
export const billedMs = new Map<string, number>();

const bill: CallHook = (next) => async (call, signal) => {
  const began = Date.now();
  try {
    await next(call, signal);
  } finally {
    const bought = extension(call, plan) ?? "free";
    billedMs.set(bought, (billedMs.get(bought) ?? 0) + (Date.now() - began));
  }
};

export const startHooks = [byPlan];
export const callHooks = [bill];
