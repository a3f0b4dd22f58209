import type { CallError } from "../../core/call-error.ts";
import type { ContainerTask, SlotKey } from "../../core/container-task.ts";
import type { RefusalScope } from "../../core/session/frames.ts";

/** What a container books of the machine for as long as it exists. */
export interface Booking {
  /** Its memory limit and its tmpfs together. */
  readonly memoryMiB: number;
  /** Thousandths of a core; 0 books nothing. */
  readonly cpuMillis: number;
}

/** What a slot is asked for with. */
export interface SlotRequest {
  readonly key: SlotKey;
  /** Under which gateways look for idle containers: the key before the runner's own overriders. */
  readonly affinityKey: string;
  readonly booking: Booking;
  /** What to start, if there is no container. */
  readonly task: ContainerTask;
  /** For pulling its image. A secret. */
  readonly registryToken: string;
}

/** The right to run one call in one hot container: idle in its queue or held by one call, never both. */
export interface Slot<Container> {
  readonly container: Container;
  readonly request: SlotRequest;
}

/** A call that waits for a slot. It hears `granted` or `failed`, once. */
export interface SlotWaiter<Container> {
  granted(slot: Slot<Container>): void;
  failed(reason: CallError): void;
  /** The container it was to have could not be thawed: it waits for one to be started instead. */
  waits(): void;
}

/** A container to be started, for whoever then waits longest in the queue of its key. */
export interface LaunchTicket {
  readonly request: SlotRequest;
}

export type Acquired<Container> =
  | { readonly kind: "slot"; readonly slot: Slot<Container> }
  /** An idle container is thawed first: `granted` follows in a moment. */
  | { readonly kind: "thawing" }
  /** A container is started first. */
  | { readonly kind: "waiting" }
  | { readonly kind: "refused"; readonly reason: CallError; readonly scope: RefusalScope };

/** What a slot table wants done. */
export interface SlotEffects<Container> {
  /** Start a container, and report `launched` or `launchFailed`. */
  launch(ticket: LaunchTicket): void;
  /** End a container, and report `gone` when nothing of it is left. */
  remove(container: Container, why: "idle" | "evicted" | "broken" | "closing"): void;
  /** Freeze an idle container, and report `froze`. */
  freeze(container: Container): void;
  /** Thaw a container for a call, and report `thawed`. Never while it is being frozen. */
  thaw(container: Container): void;
  /** What is free has changed. */
  changed(): void;
}
