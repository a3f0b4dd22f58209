import type { JsonValue } from "./call.ts";

/** What becomes of a container whose client left: killed with the call, or kept once the call ends. */
export type OnCancel = "kill" | "finish";

/** What a function's containers get, in the units they are booked in. */
export interface ContainerLimits {
  readonly memoryMiB: number;
  /** Thousandths of a core; 0 sets no quota. */
  readonly cpuMillis: number;
  /** Size of `/tmp`, whose files count as memory; 0 means the runner's default size. */
  readonly tmpfsMiB: number;
  /** How long the function may run a call, once it has a container. */
  readonly timeoutMs: number;
  /** How long its container waits for another call. */
  readonly idleTimeoutMs: number;
  /** Calls a container runs at the same time; more than 1 only for functions that say they can. */
  readonly concurrency: number;
  /** Calls a container runs before another takes its place; 0 sets no limit. */
  readonly maxCalls: number;
}

/** How many containers a runner has of one function. Not seen by start hooks, so not in the slot key. */
export interface ContainerCounts {
  /** Kept warm on every runner that has run the function; where room is short, calls go before them. */
  readonly minContainers: number;
  /** Most on one runner; 0 sets no limit. */
  readonly maxContainers: number;
}

export interface AppSpec {
  readonly id: string;
  readonly name: string;
  readonly config: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, JsonValue>>;
  /** Where the containers' output goes; empty for nowhere. */
  readonly syslogUrl: string;
}

/** Everything that is set once per function, whatever stores it. */
export interface FunctionSpec extends ContainerLimits, ContainerCounts {
  readonly id: string;
  readonly appId: string;
  readonly name: string;
  readonly image: string;
  readonly config: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, JsonValue>>;
  readonly onCancel: OnCancel;
  /** True lets a call run again after its first run was lost. */
  readonly idempotent: boolean;
}

/** The bounds of a function's settings: checked where one is declared, and again by the runner. */
export const LIMITS = {
  memoryMiB: { min: 1, max: 8_192 },
  cpuMillis: { min: 0, max: 1_024_000 },
  tmpfsMiB: { min: 0, max: 8_192 },
  timeoutMs: { min: 1, max: 300_000 },
  idleTimeoutMs: { min: 1, max: 3_600_000 },
  concurrency: { min: 1, max: 1_000 },
  maxCalls: { min: 0, max: 1_000_000_000 },
  minContainers: { min: 0, max: 1_000 },
  maxContainers: { min: 0, max: 10_000 },
} as const;

/** Fn's defaults, and what Fn does where it has no setting. */
export const DEFAULTS = {
  memoryMiB: 128,
  cpuMillis: 0,
  tmpfsMiB: 0,
  timeoutMs: 30_000,
  idleTimeoutMs: 30_000,
  concurrency: 1,
  maxCalls: 0,
  minContainers: 0,
  maxContainers: 0,
  onCancel: "kill",
  idempotent: false,
} as const;

/**
 * What a size of `/tmp` should have been, if it is too large. Files there count as the container's memory: one larger
 * than that would have the function killed where it should be told that the disk is full.
 */
export function tmpfsFault({ tmpfsMiB, memoryMiB }: Pick<FunctionSpec, "tmpfsMiB" | "memoryMiB">): string | undefined {
  return tmpfsMiB > memoryMiB ? `at most the memory of ${memoryMiB} MiB, since files there count as memory` : undefined;
}
