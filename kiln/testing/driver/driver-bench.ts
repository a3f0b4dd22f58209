import { randomBytes } from "node:crypto";

import type { ContainerTask } from "../../../core/container-task.ts";
import { unlessAborted } from "../../../runner/driver/docker/unless-aborted.ts";
import type { ContainerPlace, Driver, DriverHook, HotContainer } from "../../../runner/driver/driver.ts";
import { wrapStart } from "../../../runner/driver/hooks.ts";
import { AwaitedSocket } from "../../../runner/hot/awaited-socket.ts";
import { type SocketDirectories, socketDirectories } from "../../../runner/hot/socket-directory.ts";
import { watchSocket } from "../../../runner/hot/socket-ready.ts";
import type { SocketTmpfsOptions } from "../../../runner/hot/socket-tmpfs.ts";
import { callFunction, type FunctionAnswer } from "../call-function.ts";

export interface BenchStart<Options> {
  readonly hooks?: readonly DriverHook<Options>[];
  readonly signal?: AbortSignal;
  /** Told before anything is done, for a look at what a failed start left. */
  readonly place?: (place: ContainerPlace) => void;
}

/** A started container with its place. Disposing it ends the one and removes the other. */
export interface BenchFunction extends AsyncDisposable {
  readonly container: HotContainer;
  readonly place: ContainerPlace;
  /** Waits for the socket, then makes one call. */
  call(order?: object): Promise<FunctionAnswer>;
}

/** A driver by itself, without the runner around it: real directories, real sockets, plain HTTP. */
export interface DriverBench<Options> extends AsyncDisposable {
  readonly driver: Driver<Options>;
  start(task: ContainerTask, how?: BenchStart<Options>): Promise<BenchFunction>;
}

const PATIENCE_MS = 30_000;

/** @param tmpfs of its socket directories, which are plain ones without it */
export async function driverBench<Options>(
  driver: Driver<Options>,
  tmpfs?: SocketTmpfsOptions,
): Promise<DriverBench<Options>> {
  const directories = await socketDirectories({
    installation: "bench",
    bootId: randomBytes(8).toString("hex"),
    ...(tmpfs === undefined ? {} : { tmpfs }),
  });
  return {
    driver,
    start: (task, how = {}) => startFunction(driver, directories, task, how),
    async [Symbol.asyncDispose]() {
      await driver[Symbol.asyncDispose]();
      await directories[Symbol.asyncDispose]();
    },
  };
}

async function startFunction<Options>(
  driver: Driver<Options>,
  directories: SocketDirectories,
  task: ContainerTask,
  { hooks = [], signal = AbortSignal.timeout(PATIENCE_MS), place: tell = () => {} }: BenchStart<Options>,
): Promise<BenchFunction> {
  await using made = new AsyncDisposableStack();
  const directory = made.use(await directories.create());
  const socket = made.use(new AwaitedSocket(watchSocket(directory.path)));
  const place = { id: directory.id, socketDirectory: directory.path, listens: socket.listens };
  tell(place);
  made.use(await driver.prepare(task, { registryToken: "" }, signal));
  const start = wrapStart(driver.start, hooks);
  const container = made.use(await start({ task, place, options: driver.options(task, place) }, signal));
  const owned = made.move();
  return {
    container,
    place,
    call: async (order = {}) => callFunction(await unlessAborted(socket.path, AbortSignal.timeout(PATIENCE_MS)), order),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
