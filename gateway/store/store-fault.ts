/** What a database may say no for: a key is taken, a row refers to none, another writes, or anything else. */
export type FaultKind = "taken" | "dangling" | "busy" | "broken";

/** A failed statement, in words that both databases share. The database's own are in `cause`. */
export class StoreFault extends Error {
  override readonly name = "StoreFault";
  readonly kind: FaultKind;

  constructor(kind: FaultKind, options: ErrorOptions) {
    super(options.cause instanceof Error ? options.cause.message : String(options.cause), options);
    this.kind = kind;
  }
}
