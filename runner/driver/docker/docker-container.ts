import type { Duplex } from "node:stream";

import type { ContainerCreateOptions } from "dockerode";

import { pause, type Clock } from "../../../core/clock.ts";
import type { Log } from "../../../core/log.ts";
import type { HotContainer, OutputWriter } from "../driver.ts";
import { attachAgain, settled } from "./attach-again.ts";
import type { ContainerEngine } from "./container-engine.ts";
import { watchExit } from "./container-exit.ts";
import type { ContainerFreezer } from "./container-freezer.ts";
import { isUnavailable } from "./docker-errors.ts";
import { readOutput } from "./output.ts";
import { throwIfAborted, unlessAborted } from "./unless-aborted.ts";

export interface StartDependencies {
  readonly engine: ContainerEngine;
  readonly clock: Clock;
  readonly log: Log;
  readonly freezer: (id: string) => ContainerFreezer;
  /** Resolves if its function listens: it is started then, whatever Docker has yet to write down. */
  readonly listens?: Promise<void> | undefined;
  /** Takes what the container of this id writes. Without it its stdout is not read at all. */
  readonly output?: ((id: string) => OutputWriter) | undefined;
  /** Told where the container of a failed start could not be removed. */
  readonly leftBehind?: () => void;
}

/** A create whose answer was lost may still be under way in the daemon. */
const LOST_CREATE = { tries: 20, everyMs: 250 } as const;

/** Creates a container and starts it, until its function listens if that is first. If that fails or is aborted, nothing is left of it. */
export async function startContainer(
  options: ContainerCreateOptions,
  dependencies: StartDependencies,
  signal: AbortSignal,
): Promise<HotContainer> {
  const { engine, log } = dependencies;
  throwIfAborted(signal);
  const id = await create(options, dependencies);
  let container: HotContainer | undefined;
  try {
    throwIfAborted(signal);
    const attach = () => engine.attach(id, { stdout: dependencies.output !== undefined, stderr: true });
    // Before the start, or what it writes first could be missed. How it ends is told to whoever asks later, too.
    const connection = await attach();
    const starting = engine.start(id);
    container = watched(id, { connection, attach, starting }, dependencies);
    const { listens = starting } = dependencies;
    await unlessAborted(Promise.race([starting, listens]), signal);
    return container;
  } catch (error) {
    try {
      await (container === undefined ? engine.remove(id) : container[Symbol.asyncDispose]());
    } catch (failure) {
      log.error("Container of a failed start is left behind until the next start", { container: id, error: failure });
      dependencies.leftBehind?.();
    }
    throw error;
  }
}

interface Beginning {
  readonly connection: Duplex;
  readonly attach: () => Promise<Duplex>;
  readonly starting: Promise<void>;
}

/** A container that starts, or fails to. */
function watched(
  id: string,
  { connection, attach, starting }: Beginning,
  dependencies: StartDependencies,
): HotContainer {
  const { engine, clock } = dependencies;
  const leaving = new AbortController();
  const gone = new AbortController();
  const ended = watchExit(id, starting, { engine, clock, leaving: leaving.signal, gone: gone.signal });
  // Docker attaches to one that has ended as well, and nothing ever comes of that.
  const attachRunning = async () => {
    await engine.pid(id);
    return await attach();
  };
  const again = () => attachAgain(attachRunning, { ended, gone: gone.signal, clock });
  const output = readOutput(connection, { writer: dependencies.output?.(id), again, clock });
  const exited = ended.then(async (exit) => {
    await settled(output.ended, clock);
    return exit;
  });

  const freezer = dependencies.freezer(id);
  let removed: Promise<void> | undefined;
  const remove = async () => {
    leaving.abort();
    await freezer[Symbol.asyncDispose]();
    try {
      await engine.remove(id);
      await settled(exited, clock);
    } finally {
      gone.abort();
      output.close();
    }
  };
  return {
    id,
    exited,
    stderrTail: output.stderrTail,
    freeze: (signal) => freezer.freeze(signal),
    thaw: (signal) => freezer.thaw(signal),
    [Symbol.asyncDispose]: () => (removed ??= remove()),
  };
}

async function create(options: ContainerCreateOptions, dependencies: StartDependencies): Promise<string> {
  const { engine, clock, log, leftBehind } = dependencies;
  try {
    return await engine.create(options);
  } catch (error) {
    const name = options.name ?? "";
    if (name !== "" && answerLost(error)) {
      await removeLost(name, engine, clock).catch((failure: unknown) => {
        log.error("Container of a lost create may be left behind until the next start", { name, error: failure });
        leftBehind?.();
      });
    }
    throw error;
  }
}

/** Whether the daemon may have created a container and not been able to say so. */
function answerLost(error: unknown): boolean {
  if (!isUnavailable(error)) return false;
  const { cause } = error;
  return !(cause instanceof Error && "syscall" in cause && cause.syscall === "connect");
}

async function removeLost(name: string, engine: ContainerEngine, clock: Clock): Promise<void> {
  for (let left = LOST_CREATE.tries; left > 0; left -= 1) {
    if (await engine.remove(name)) return;
    await pause(clock, LOST_CREATE.everyMs);
  }
}
