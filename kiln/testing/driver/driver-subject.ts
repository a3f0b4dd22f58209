import type { ErrorCode } from "../../../core/error-codes.ts";
import type { ContainerPlace, Driver, HotContainer } from "../../../runner/driver/driver.ts";
import type { DriverBench } from "./driver-bench.ts";

/** What the suite has to know of a driver, most of it to look behind its back. */
export interface DriverTraits<Options> {
  /** Why it cannot be tested here. */
  readonly skip?: string | undefined;
  /** It keeps functions in a sandbox. */
  readonly sandbox: boolean;
  /** How an image that is nowhere is refused. */
  readonly unknownImage: ErrorCode;
  /** Sets an environment variable in the driver's own options, as an operator's hook would. */
  setEnv(options: Options, name: string, value: string): void;
  /** Ends a container without asking the driver. */
  kill(container: HotContainer, place: ContainerPlace): Promise<void>;
  /** Names whatever is left of a container. */
  leftovers(place: ContainerPlace): Promise<readonly string[]>;
}

/** The driver under test. The bench exists only while tests run. */
export interface DriverSubject<Options> {
  readonly traits: DriverTraits<Options>;
  readonly bench: DriverBench<Options>;
  /** Another driver of this kind, for a test that ends it. */
  make(): Promise<Driver<Options>>;
}
