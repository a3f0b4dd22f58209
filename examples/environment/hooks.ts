import { extension, withExtension, type DockerStartHook, type RunnerOverrider } from "kiln/runner";

import { cheese, wine } from "./taste.ts";

/** The runner has a say of its own, before the container is chosen. */
const addWine: RunnerOverrider = (call) => withExtension(call, wine, "1982 Margaux");

/** Puts both into the container's environment. */
const serveBoth: DockerStartHook = (next) => (start, signal) => {
  for (const key of [cheese, wine]) {
    const value = extension(start.task, key);
    if (value !== undefined) start.options.Env = [...(start.options.Env ?? []), `${key.name}=${value}`];
  }
  return next(start, signal);
};

export const runnerOverriders = [addWine];
export const startHooks = [serveBoth];
