import type { HeaderList } from "../../core/call.ts";
import type { AppSpec, FunctionSpec } from "../../core/function-spec.ts";
import type { ContainerExit } from "../../runner/driver/driver.ts";
import type { SimulatedContainer } from "./simulated-container.ts";

/** A function of a simulated fleet: what it is declared as, and what it does. */
export interface SimulatedFunction {
  readonly handler: FunctionHandler;
  readonly spec?: Partial<FunctionSpec>;
  readonly app?: Partial<AppSpec>;
  /** How each of its containers starts; at once, unless told. */
  readonly start?: () => StartPlan;
}

/** What a function does with a call. What it throws is a 502, as an FDK would have it. */
export type FunctionHandler = (
  request: SimulatedRequest,
  signal: AbortSignal,
) => SimulatedAnswer | string | Promise<SimulatedAnswer | string>;

export interface SimulatedRequest {
  readonly callId: string;
  /** As they come to the function. */
  readonly headers: HeaderList;
  header(name: string): string | undefined;
  /** The container it runs in: its environment, its options, and the way to let it die. */
  readonly container: SimulatedContainer;
  /** The body as it comes; can be read once. */
  body(): AsyncIterable<Uint8Array>;
  text(): Promise<string>;
  /** Lets the virtual time pass. */
  sleep(ms: number): Promise<void>;
}

export interface SimulatedAnswer {
  readonly status?: number;
  readonly headers?: HeaderList;
  readonly body?: string | Uint8Array | AsyncIterable<Uint8Array>;
}

/** Virtual milliseconds of each phase, and how it ends. */
export interface StartPlan {
  readonly pullMs?: number;
  readonly startMs?: number;
  readonly initMs?: number;
  /** Removing it takes so long. */
  readonly removeMs?: number;
  /** `refused`: Docker cannot start it. `exits`: before it listens. `hangs`: it never listens. */
  readonly fate?: "listens" | "refused" | "exits" | "hangs";
}

export const KILLED: ContainerExit = { exitCode: 137, outOfMemory: false };
