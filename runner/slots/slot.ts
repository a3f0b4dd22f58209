import type { CallError } from "../../core/call-error.ts";
import type { ContainerTask, SlotKey } from "../../core/container-task.ts";
import type { ContainerCounts } from "../../core/function-spec.ts";
import type { RefusalScope } from "../../core/session/frames.ts";

/** What a container books of the machine for as long as it exists. */
export interface Booking {
  /** Its memory limit and its tmpfs together. */
  readonly memoryMiB: number;
  /** Thousandths of a core; 0 books nothing. */
  readonly cpuMillis: number;
}

/** What a slot is asked for with. */
export interface SlotRequest extends ContainerCounts {
  readonly key: SlotKey;
  /** Under which gateways look for idle containers: the key before the runner's own overriders. */
  readonly affinityKey: string;
  readonly booking: Booking;
  /** What to start, if there is no container. */
  readonly task: ContainerTask;
  /** For pulling its image. A secret. */
  readonly registryToken: string;
}

/** The right to run one call in one hot container. A container has as many as its function's concurrency. */
export interface Slot<Container> {
  readonly container: Container;
  readonly request: SlotRequest;
}

/** A call that waits for a slot. It hears `granted` or `failed`, once. */
export interface SlotWaiter<Container> {
  /** Whose call it is: of several that have calls waiting, each has its turn. */
  readonly source: object;
  granted(slot: Slot<Container>): void;
  failed(reason: CallError): void;
  /** The slot that was to come soon did not: a container is started for it. */
  waits(): void;
}

/** A container to be started, for whoever then waits longest in the queue of its key. */
export interface LaunchTicket {
  readonly request: SlotRequest;
}

export type Acquired<Container> =
  | { readonly kind: "slot"; readonly slot: Slot<Container> }
  /** Sooner than a container could be started: one is thawed, or a busy one is expected back. `granted` or `waits` follows. */
  | { readonly kind: "soon" }
  /** A container is started first. */
  | { readonly kind: "waiting" }
  | { readonly kind: "refused"; readonly reason: CallError; readonly scope: RefusalScope };

export type RemovalReason = "idle" | "evicted" | "broken" | "spent" | "closing";

/** What a slot table wants done. */
export interface SlotEffects<Container> {
  /** Make a container's image usable, and report `prepared` or `launchFailed`. Takes no turn. */
  prepare(ticket: LaunchTicket): void;
  /** Its turn has come: start the container, and report `launched` or `launchFailed`. */
  start(ticket: LaunchTicket): void;
  /** What was prepared is not started after all. */
  drop(ticket: LaunchTicket): void;
  /** End a container, and report `gone` when nothing of it is left. */
  remove(container: Container, why: RemovalReason): void;
  /** Freeze an idle container, and report `froze`. */
  freeze(container: Container): void;
  /** Thaw a container for a call, and report `thawed`. Never while it is being frozen. */
  thaw(container: Container): void;
  /** Why no container can be started or removed just now; undefined where they can. */
  trouble?(): CallError | undefined;
  /** What is free has changed. */
  changed(): void;
}

export interface SlotLimits {
  /** How long a container is idle before it is frozen; 0 freezes at once, negative never. */
  readonly freezeIdleMs: number;
  /** Starts at the same time; more only add latency. */
  readonly startsAtOnce: number;
  /** Longest wait for a busy container before another is started or the call refused; 0 never waits for one. */
  readonly slotWaitMs: number;
  /** Calls of one slot key that wait at the same time. */
  readonly mostWaiting: number;
}
