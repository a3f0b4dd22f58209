import { pause, type Clock } from "../../../core/clock.ts";
import type { ContainerExit } from "../driver.ts";
import type { ContainerEngine, ExitWatch } from "./container-engine.ts";
import { isGone } from "./docker-errors.ts";

export interface ExitDependencies {
  readonly engine: ContainerEngine;
  readonly clock: Clock;
  /** It is being removed: its end is ours, and not worth a second look. */
  readonly leaving: AbortSignal;
  /** It is removed: no news comes any more. */
  readonly gone: AbortSignal;
}

const SIGKILLED = 137;
const OOM_NEWS = { tries: 5, everyMs: 20 } as const;
const REWATCH_MS = 1_000;

/** How a container ended that starts, or fails to. Never rejects: a daemon that went away is asked again once it is back. */
export async function watchExit(
  id: string,
  starting: Promise<void>,
  dependencies: ExitDependencies,
): Promise<ContainerExit> {
  // It does not run before, either.
  await starting.catch(() => {});
  const exitCode = await exitCodeOf(id, undefined, dependencies);
  // Somebody removed it before it had told anything.
  if (exitCode === undefined) return { exitCode: SIGKILLED, outOfMemory: false };
  return { exitCode, outOfMemory: await outOfMemory(id, exitCode, dependencies) };
}

/** Its exit code, or undefined for a container that is removed. Never rejects either. */
export async function exitCodeOf(
  id: string,
  first: ExitWatch | undefined,
  { engine, clock, gone }: Omit<ExitDependencies, "leaving">,
): Promise<number | undefined> {
  let watch = first;
  while (!gone.aborted) {
    try {
      watch ??= await engine.watch(id, "not-running", gone);
      return await watch.ended;
    } catch (error) {
      if (isGone(error)) break;
      watch = undefined;
      await pause(clock, REWATCH_MS, gone);
    }
  }
  return undefined;
}

/**
 * Reads the flag: an exit code of 137 is any SIGKILL. The daemon may hear of the memory after it heard of the end. Never
 * rejects: a daemon that does not tell has not heard of it.
 */
async function outOfMemory(
  id: string,
  exitCode: number,
  { engine, clock, leaving }: ExitDependencies,
): Promise<boolean> {
  for (let left: number = OOM_NEWS.tries; ; left -= 1) {
    if (await engine.outOfMemory(id).catch(() => false)) return true;
    if (exitCode !== SIGKILLED || left === 0 || leaving.aborted) return false;
    await pause(clock, OOM_NEWS.everyMs, leaving);
  }
}
