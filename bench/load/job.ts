/** Where one client sends its calls. */
export interface Target {
  /** `http://host:port` */
  readonly origin: string;
  /** A unix socket in the origin's place. */
  readonly socketPath?: string;
  readonly path: string;
  /** Of functions that the path is the beginning of: a client goes from one number to the next, and round again. */
  readonly walk?: Walk;
}

export interface Walk {
  readonly from: number;
  readonly count: number;
  /** Calls of one before the next. */
  readonly inARow: number;
}

/** A load with an end: so many clients, each with one call at a time on a connection of its own. */
export interface Job {
  /** One client for each. */
  readonly targets: readonly Target[];
  readonly headers: Readonly<Record<string, string>>;
  readonly requestBytes: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
  /** Most calls of one client, warm-up apart. */
  readonly maxCallsEach: number;
}

export interface LoadResult {
  readonly calls: number;
  readonly failures: number;
  /** Of the first failure. */
  readonly failure: string | undefined;
  readonly elapsedMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly responseBytes: number;
}

/** What goes between the generator and whoever measures: a job, `warm`, `go`, the result. */
export type ToGenerator = { readonly type: "job"; readonly job: Job } | { readonly type: "go" };
export type FromGenerator = { readonly type: "warm" } | { readonly type: "done"; readonly result: LoadResult };
