import { CallError } from "../../core/call-error.ts";
import type { Clock } from "../../core/clock.ts";
import type { ContainerTask } from "../../core/container-task.ts";
import type { Driver, HotContainer, ImageCredentials, Start } from "../driver/driver.ts";
import { AwaitedSocket } from "./awaited-socket.ts";
import { functionClient, type FunctionClient, type FunctionClientOptions } from "./function-client.ts";
import type { HotFunction } from "./hot-function.ts";
import type { SocketDirectories } from "./socket-directory.ts";
import { watchSocket, type SocketWatch } from "./socket-ready.ts";

export interface LaunchDependencies<Options> {
  readonly driver: Driver<Options>;
  /** The driver's start inside the operator's hooks. */
  readonly start: Start<Options>;
  readonly directories: SocketDirectories;
  readonly clock: Clock;
  readonly limits: LaunchLimits;
  /** By their unix sockets, unless told. */
  readonly contact?: FunctionContact | undefined;
}

/** How functions are reached. */
export interface FunctionContact {
  /** Called before the container's start, with its socket directory. */
  watch(directory: string): SocketWatch;
  connect(options: FunctionClientOptions): FunctionClient;
}

const BY_SOCKET: FunctionContact = { watch: (directory) => watchSocket(directory), connect: functionClient };

export interface LaunchLimits {
  /** Creating and starting a container, hooks included. */
  readonly startTimeoutMs: number;
  /** From the container's start to its socket. */
  readonly initTimeoutMs: number;
  readonly maxHeaderBytes: number;
}

/** What a start that is aborted may take to end by itself, cleaning up. */
const ABORT_GRACE_MS = 5_000;

/** Makes a task's image usable. @throws CallError */
export type Launch = (
  task: ContainerTask,
  credentials: ImageCredentials,
  signal: AbortSignal,
) => Promise<PreparedLaunch>;

/** A container whose image is at hand. Disposing it, instead of starting it, lets go of the image. */
export interface PreparedLaunch extends Disposable {
  /** Waits until its function listens. To be called once. @throws CallError, with nothing left behind */
  start(signal: AbortSignal): Promise<HotFunction>;
}

export function createLaunch<Options>(dependencies: LaunchDependencies<Options>): Launch {
  const { driver, start, directories, clock, limits, contact = BY_SOCKET } = dependencies;

  const startOne = async (task: ContainerTask, image: Disposable, pullMs: number, signal: AbortSignal) => {
    const began = clock.now();
    await using made = new AsyncDisposableStack();
    made.use(image);
    const directory = made.use(await directories.create());
    // Armed before the start: a function may listen before the start returns.
    using socket = new AwaitedSocket(contact.watch(directory.path));
    const place = { id: directory.id, socketDirectory: directory.path, listens: socket.listens };
    const starting = start({ task, place, options: driver.options(task, place) }, signal);
    const container = made.use(await inTime(starting, dependencies, signal));
    const started = clock.now();

    const before = `${Math.round(pullMs)} ms pulling its image, ${Math.round(started - began)} ms starting it`;
    const socketPath = await listening(container, before, socket, dependencies, signal);
    const client = contact.connect({
      socketPath,
      maxHeaderBytes: limits.maxHeaderBytes,
    });
    made.defer(() => client.close());
    const owned = made.move();
    return {
      task,
      container,
      client,
      launchTimings: { pullMs, startMs: started - began, initMs: clock.now() - started },
      remove: () => owned.disposeAsync(),
    };
  };

  return async (task, credentials, signal) => {
    const asked = clock.now();
    const image = await driver.prepare(task, credentials, signal);
    const pullMs = clock.now() - asked;
    return {
      start: (ownSignal) => startOne(task, image, pullMs, ownSignal),
      [Symbol.dispose]: () => image[Symbol.dispose](),
    };
  };
}

/** A start that a hook or the engine never ends must not hold its turn for ever: what comes too late is removed. */
async function inTime<O>(
  starting: Promise<HotContainer>,
  { clock, limits: { startTimeoutMs } }: LaunchDependencies<O>,
  signal: AbortSignal,
): Promise<HotContainer> {
  const late = Promise.withResolvers<never>();
  const giveUp = (reason: CallError) => {
    late.reject(reason);
    void starting.then((container) => container[Symbol.asyncDispose]()).catch(() => {});
  };
  const text = `Container did not start in ${startTimeoutMs} ms, FN_CREATE_TIMEOUT_MSECS: a driver hook or the driver still works on it`;
  const cancelTimer = clock.after(startTimeoutMs, () => giveUp(new CallError("container_start_timeout", text)));
  let cancelGrace = (): void => {};
  const stopped = () => {
    cancelGrace = clock.after(ABORT_GRACE_MS, () => giveUp(new CallError("shutting_down")));
  };
  if (signal.aborted) stopped();
  signal.addEventListener("abort", stopped, { once: true });
  try {
    return await Promise.race([starting, late.promise]);
  } finally {
    cancelTimer();
    cancelGrace();
    signal.removeEventListener("abort", stopped);
  }
}

/** The function's socket, or why it never came. */
async function listening<O>(
  container: HotContainer,
  before: string,
  socket: AwaitedSocket,
  { clock, limits: { initTimeoutMs } }: LaunchDependencies<O>,
  signal: AbortSignal,
): Promise<string> {
  const cancelTimer = clock.after(initTimeoutMs, () => socket.giveUp(initTimeout(initTimeoutMs, before, container)));
  const stopped = () => socket.giveUp(new CallError("shutting_down"));
  if (signal.aborted) stopped();
  signal.addEventListener("abort", stopped, { once: true });
  void container.exited.then(({ exitCode, outOfMemory }) =>
    socket.giveUp(initFailed(exitCode, outOfMemory, container)),
  );
  try {
    return await socket.path;
  } catch (error) {
    throw CallError.from(error, "container_init_failed");
  } finally {
    cancelTimer();
    signal.removeEventListener("abort", stopped);
  }
}

function initTimeout(initTimeoutMs: number, before: string, container: HotContainer): CallError {
  const code = "container_init_timeout";
  const why = `no socket ${initTimeoutMs} ms after its start, FN_HOT_START_TIMEOUT_MSECS (before that ${before})`;
  return new CallError(code, `${new CallError(code).message}: ${why}`, { stderrTail: container.stderrTail() });
}

function initFailed(exitCode: number, outOfMemory: boolean, container: HotContainer): CallError {
  const code = "container_init_failed";
  const how = outOfMemory ? "it ran out of memory" : `it exited with code ${exitCode} before it listened`;
  return new CallError(code, `${new CallError(code).message}: ${how}`, { stderrTail: container.stderrTail() });
}
