/** What bounds a request; the configuration table says each to operators. */
export interface InvokeLimits {
  /** Largest request body; 0 for no limit. */
  readonly maxRequestBytes: number;
  /** Largest request body that is ever held whole: for a detached call, or because middleware reads it. */
  readonly maxBufferedBytes: number;
  /** How long such a body, or the first bytes of a streamed one, may take to come. */
  readonly bodyReadTimeoutMs: number;
  /** Least rate at which a streamed body has to come beyond that time, on the whole; 0 sets none. */
  readonly minBodyBytesPerSecond: number;
  /** Finding a runner, for calls whose client waits. */
  readonly placerTimeoutMs: number;
  /** Finding a runner, for detached calls. */
  readonly detachedPlacerTimeoutMs: number;
  /** What a call may take beyond placement and its function's timeout: image pull and start. Infinity for no deadline. */
  readonly headroomMs: number;
  /** What clients are told with a 503 that is worth another try. */
  readonly retryAfterSeconds: number;
}

/** Fn's values where Fn has one, but for the search for a runner: whoever waits its 360 s for a 503 has left. */
export const DEFAULT_LIMITS: InvokeLimits = {
  maxRequestBytes: 0,
  maxBufferedBytes: 16 * 1024 * 1024,
  bodyReadTimeoutMs: 60_000,
  minBodyBytesPerSecond: 100,
  placerTimeoutMs: 30_000,
  detachedPlacerTimeoutMs: 30_000,
  headroomMs: 360_000,
  retryAfterSeconds: 15,
};
