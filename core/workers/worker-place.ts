/** Where a worker serves, each as `host:port`. */
export interface Serving {
  readonly address: string;
  readonly admin?: string | undefined;
}

/** Which of several workers one is. */
export interface WorkerPlace {
  /** From 1. */
  readonly number: number;
  /** Where it served, if it is started in its own place. */
  readonly before: Serving | undefined;
  /** Where worker 1 serves, or did, once it has: others share its ports. */
  readonly first: Serving | undefined;
}

/** The port of a `host:port`; undefined where there is none. */
export function portOf(address: string | undefined): number | undefined {
  return address === undefined ? undefined : Number(address.slice(address.lastIndexOf(":") + 1));
}
