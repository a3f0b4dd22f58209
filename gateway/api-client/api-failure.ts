/** What a failed request says of the API: nothing can be had of it for now, or this one thing cannot. */
export type Reach = "away" | "broken";

/** A request to another server's API that was not answered as an API answers. Its message names the server. */
export class ApiFailure extends Error {
  override readonly name = "ApiFailure";
  readonly reach: Reach;
  /** Whether the same request may do better at once. */
  readonly retryable: boolean;

  constructor(reach: Reach, message: string, options: ErrorOptions & { readonly retryable: boolean }) {
    super(message, options);
    this.reach = reach;
    this.retryable = options.retryable;
  }
}
