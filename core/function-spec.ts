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
export interface FunctionSpec extends ContainerLimits {
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
} as const;

/** Fn's defaults. */
export const DEFAULTS = {
  memoryMiB: 128,
  cpuMillis: 0,
  tmpfsMiB: 0,
  timeoutMs: 30_000,
  idleTimeoutMs: 30_000,
  onCancel: "kill",
  idempotent: false,
} as const;
