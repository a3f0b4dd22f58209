import type { ContainerTask } from "../../core/container-task.ts";
import type { HotContainer } from "../driver/driver.ts";
import type { FunctionClient } from "./function-client.ts";

/** A started container with its function listening. */
export interface HotFunction {
  readonly task: ContainerTask;
  readonly container: HotContainer;
  readonly client: FunctionClient;
  /** What its start took; the call that caused it reports them. */
  readonly launchTimings: LaunchTimings;
  /** Ends it and removes everything of it. */
  remove(): Promise<void>;
}

/** Milliseconds of each phase of a start. */
export interface LaunchTimings {
  readonly pullMs: number;
  readonly startMs: number;
  readonly initMs: number;
}
