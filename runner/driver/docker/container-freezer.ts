import { CallError } from "../../../core/call-error.ts";
import type { Clock } from "../../../core/clock.ts";
import type { Log } from "../../../core/log.ts";
import { openCgroupFreezer } from "./cgroup-freezer.ts";
import type { ContainerEngine } from "./container-engine.ts";
import { engineFailure } from "./docker-errors.ts";
import { throwIfAborted, unlessAborted } from "./unless-aborted.ts";

/** `cgroup` writes the kernel's file, and is `pause` where that is out of reach: the Engine takes some 20 ms. */
export type FreezeBy = "cgroup" | "pause";

/** Freezes and thaws one container, one after the other, in the order in which it was asked for. */
export interface ContainerFreezer extends AsyncDisposable {
  freeze(signal: AbortSignal): Promise<void>;
  /** Does nothing to a container that runs. */
  thaw(signal: AbortSignal): Promise<void>;
  /** Thaws for the last time, for what is frozen cannot be killed everywhere. Never rejects. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface FreezerDependencies {
  readonly engine: ContainerEngine;
  readonly clock: Clock;
  readonly log: Log;
}

interface Means extends AsyncDisposable {
  freeze(signal: AbortSignal): Promise<void>;
  thaw(signal: AbortSignal): Promise<void>;
}

/** Makes a freezer for each container. That the Engine has to do it is logged once. */
export function containerFreezers(dependencies: FreezerDependencies, by: FreezeBy): (id: string) => ContainerFreezer {
  const { engine, clock, log } = dependencies;
  let told = false;

  // Not at the container's start: many a container is never idle for long enough.
  const choose = async (id: string): Promise<Means> => {
    if (by === "pause") return pausing(id, engine);
    const pid = await engine.pid(id);
    try {
      return await openCgroupFreezer({ containerId: id, pid }, clock);
    } catch (reason) {
      if (!told) log.warn("Containers are frozen by Docker's pause, which is slow: no access to cgroups", { reason });
      told = true;
      return pausing(id, engine);
    }
  };

  return (id) => {
    let means: Means | undefined;
    let frozen = false;
    let closed = false;
    let last: Promise<void> = Promise.resolve();
    const inTurn = (work: () => Promise<void>): Promise<void> => {
      const turn = last.then(work);
      last = turn.catch(() => {});
      return turn;
    };
    // A Docker that hangs must not keep the container from its next call.
    const chosen = async (signal: AbortSignal): Promise<Means> => {
      const choosing = choose(id);
      try {
        return await unlessAborted(choosing, signal);
      } catch (error) {
        void choosing.then((late) => late[Symbol.asyncDispose]()).catch(() => {});
        throw error;
      }
    };
    const thaw = async (signal: AbortSignal) => {
      if (!frozen) return;
      await means?.thaw(signal);
      frozen = false;
    };
    return {
      freeze: (signal) =>
        inTurn(async () => {
          throwIfAborted(signal);
          if (closed) throw new CallError("runner_internal", "Container is being removed");
          means ??= await chosen(signal);
          // From here on it may be, whatever becomes of it.
          frozen = true;
          await means.freeze(signal);
        }),
      thaw: (signal) => inTurn(() => thaw(signal)),
      [Symbol.asyncDispose]: () =>
        inTurn(async () => {
          closed = true;
          // What does not thaw is removed all the same; the Engine then says what is wrong with it.
          await thaw(new AbortController().signal).catch(() => {});
          await means?.[Symbol.asyncDispose]();
          means = undefined;
        }),
    };
  };
}

/** Lets a container run that somebody else may have frozen, as a runner does that was killed. Best effort. */
export async function thawAbandoned(id: string, engine: ContainerEngine, clock: Clock): Promise<void> {
  try {
    await using freezer = await openCgroupFreezer({ containerId: id, pid: await engine.pid(id) }, clock);
    await freezer.thaw();
  } catch {
    // It does not run, or is out of reach and so was frozen by the Engine, which sees to that itself.
  }
}

function pausing(id: string, engine: ContainerEngine): Means {
  let paused = false;
  return {
    async freeze(signal) {
      await engine.pause(id, signal);
      paused = true;
    },
    async thaw(signal) {
      try {
        await engine.unpause(id, signal);
      } catch (error) {
        // Docker 20.10 may forget a pause, and calls a container "not paused" that stands still for good.
        if (paused || !isNotPaused(error)) throw error;
      }
      paused = false;
    },
    async [Symbol.asyncDispose]() {},
  };
}

function isNotPaused(error: unknown): boolean {
  return /is not paused/i.test(engineFailure(error).message);
}
