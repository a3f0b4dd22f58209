import { basename, join, resolve } from "node:path";

import { CallError } from "../../../core/call-error.ts";
import { type ContainerTask, LISTENER } from "../../../core/container-task.ts";
import type { ContainerPlace, Driver, FunctionOutput, HotContainer, OutputWriter } from "../driver.ts";
import { checkOptions, type ProcessOptions } from "./check-options.ts";
import { findNode } from "./find-node.ts";
import { readFunctionFolder } from "./function-folder.ts";
import { startProcess } from "./function-process.ts";

export type { ProcessOptions };

export interface ProcessDriverOptions {
  /** Holds a directory for each function, with a func.yaml in it. */
  readonly functionsDirectory: string;
  /** Takes what functions write. Without it their stdout is not read at all. */
  readonly output?: FunctionOutput;
}

const PATH = "/usr/local/bin:/usr/bin:/bin";

/**
 * Runs functions as plain child processes, for a machine without Docker and for fast tests. There is no sandbox:
 * a function is this user, with this user's files and network, and no limit of memory, CPU or `/tmp` holds it.
 */
export function processDriver(options: ProcessDriverOptions): Driver<ProcessOptions> {
  const functionsDirectory = resolve(options.functionsDirectory);
  const living = new Set<Promise<HotContainer>>();
  const closing = new AbortController();

  const start = (id: string, options: ProcessOptions, output: OutputWriter | undefined) => {
    const container = startProcess(id, options, output);
    living.add(container);
    const forget = () => living.delete(container);
    container.then(({ exited }) => exited.then(forget), forget);
    return container;
  };

  return {
    name: "process",
    isolation: "none",
    async prepare(task) {
      readFunctionFolder(functionsDirectory, task.image);
      return new DisposableStack();
    },
    imageId: async (image) => readFunctionFolder(functionsDirectory, image).path,
    options: (task, place) => processOptions(functionsDirectory, task, place),
    async start({ task, place, options: asked }, signal) {
      const stop = AbortSignal.any([signal, closing.signal]);
      throwIfStopped(stop);
      await using made = new AsyncDisposableStack();
      const checked = checkOptions(asked);
      const container = made.use(await start(place.id, checked, options.output?.open(place.id, task)));
      throwIfStopped(stop);
      made.move();
      return container;
    },
    async [Symbol.asyncDispose]() {
      closing.abort(new CallError("shutting_down"));
      await Promise.allSettled([...living].map(async (container) => (await container)[Symbol.asyncDispose]()));
    },
  };
}

function processOptions(functionsDirectory: string, task: ContainerTask, place: ContainerPlace): ProcessOptions {
  const { path, command } = readFunctionFolder(functionsDirectory, task.image);
  const [program, ...args] = command;
  return {
    command: program === "node" ? findNode() : program,
    args,
    cwd: path,
    env: {
      PATH,
      HOME: path,
      ...task.env,
      // Without a container nothing is mounted anywhere: the function finds the directory where it is.
      FN_LISTENER: `unix:${join(place.socketDirectory, basename(LISTENER))}`,
    },
  };
}

function throwIfStopped(signal: AbortSignal): void {
  if (signal.aborted) throw CallError.from(signal.reason, "shutting_down");
}
