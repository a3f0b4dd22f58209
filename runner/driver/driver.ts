import type { CallError } from "../../core/call-error.ts";
import type { CallId, ExtensionMap, HeaderList } from "../../core/call.ts";
import type { ContainerTask } from "../../core/container-task.ts";
import type { Isolation } from "../../core/session/frames.ts";

/** Starts containers. `Options` is what it creates one from, for instance dockerode's create options. */
export interface Driver<Options = unknown> extends AsyncDisposable {
  readonly name: string;
  readonly isolation: Isolation;
  /**
   * Makes the image usable, pulling it if absent, and keeps it so until what it resolves with is disposed, which is
   * once its container is gone. @throws CallError `image_*`, `docker_unavailable`
   */
  prepare(task: ContainerTask, credentials: ImageCredentials, signal: AbortSignal): Promise<Disposable>;
  /**
   * What tells the image behind a name from all others, or undefined where there is none. Where the driver does not
   * know it, an image is its name. @throws CallError `docker_unavailable`
   */
  imageId?(image: string, signal: AbortSignal): Promise<string | undefined>;
  /** The options of one container: fresh, and the hooks' to change. */
  options(task: ContainerTask, place: ContainerPlace): Options;
  /** Creates and starts a container from what the hooks made of its options. The guard stands in here. */
  readonly start: Start<Options>;
  /** Where it depends on something that may go away and come back. */
  readonly availability?: Availability;
  /** Whether containers would find what is at this path of the runner's. Without it, they would. */
  sees?(path: string): Promise<boolean>;
  /**
   * Removes what earlier boots of this runner left. Called once its address is bound: until then one may be alive.
   * @param former - whose containers go as well
   */
  removeLeftovers?(former?: FormerRunners): Promise<void>;
}

/** Runners that a service was made of when it had more or fewer workers than it has now. */
export interface FormerRunners {
  has(runnerId: string): boolean;
  /** Makes sure that one of them is gone until disposed; undefined where it lives, as one does that still drains. */
  claim(runnerId: string): Promise<AsyncDisposable | undefined>;
}

/** Whether a driver can start and end containers just now. Those that run may go on all the same. */
export interface Availability {
  /** Why not; undefined where it can. */
  readonly trouble: CallError | undefined;
  /** Told after each change. Returns the unsubscriber. */
  observe(observer: () => void): () => void;
}

export interface ImageCredentials {
  /** Bearer token for the registry, or empty. */
  readonly registryToken: string;
}

/** What is this container's alone, and so in no key. */
export interface ContainerPlace {
  /** Unique on this machine. */
  readonly id: string;
  /** The directory of its socket, on the runner's side. */
  readonly socketDirectory: string;
  /**
   * Resolves if its function listens, and never rejects. It runs then: a driver need not wait for what its engine still has to
   * do before it says so.
   */
  readonly listens?: Promise<void>;
}

export interface ContainerStart<Options> {
  /** What is to be run, with typed extensions. Read-only. */
  readonly task: ContainerTask;
  readonly place: ContainerPlace;
  /** The driver's own create options: fresh for this container, yours to change. */
  readonly options: Options;
}

export type Start<Options> = (start: ContainerStart<Options>, signal: AbortSignal) => Promise<HotContainer>;

/** A started container. Disposing it, frozen or not, ends it by force and resolves when nothing of it is left. */
export interface HotContainer extends AsyncDisposable {
  readonly id: string;
  /** Resolves when its process has ended, however that came. */
  readonly exited: Promise<ContainerExit>;
  /** The last lines it wrote to stderr, at most 4 KiB. */
  stderrTail(): string;
  /** Stops all of it where it stands, until `thaw`. Rejects if that is not sure: it may be frozen or not. */
  freeze(signal: AbortSignal): Promise<void>;
  /** Lets it go on, and does nothing to one that runs. If this rejects it must not be used again. */
  thaw(signal: AbortSignal): Promise<void>;
}

/** Takes what containers write. Drivers that are given one read all of stdout and stderr, and wait for nobody. */
export interface FunctionOutput {
  /** Called before the container runs. */
  open(containerId: string, task: ContainerTask): OutputWriter;
}

/** Takes what one container writes, in its order. */
export interface OutputWriter {
  write(stream: OutputStream, bytes: Buffer): void;
  /** Something may be missing here, as `mark` says, and what comes next is not the rest of a line that has begun. */
  gap(mark: string): void;
  /** Nothing more will come. */
  end(): void;
}

export type OutputStream = "stdout" | "stderr";

export interface ContainerExit {
  readonly exitCode: number;
  /** The kernel killed it for its memory: told by the driver's flag, never by exit code 137. */
  readonly outOfMemory: boolean;
}

/** One call, as call hooks see it. */
export interface HotCall {
  readonly id: CallId;
  readonly task: ContainerTask;
  readonly extensions: ExtensionMap;
  readonly callExtensions: ExtensionMap;
  readonly headers: HeaderList;
  readonly containerId: string;
}

/** Resolves when the call is over. */
export type RunCall = (call: HotCall, signal: AbortSignal) => Promise<void>;

/**
 * An onion around every start, every call, or both; the first hook is the outermost and calls `next` once.
 * What a start hook throws fails the start; what a call hook throws is the call's error and ends its container.
 */
export interface DriverHook<Options> {
  readonly start?: (next: Start<Options>) => Start<Options>;
  readonly call?: (next: RunCall) => RunCall;
}
