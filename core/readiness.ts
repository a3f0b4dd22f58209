export interface Readiness {
  readonly ready: boolean;
  /** Why, in a few words. */
  readonly detail: string;
}
