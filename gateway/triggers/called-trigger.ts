/** The trigger that a request came by, as middleware finds it. */
export interface CalledTrigger {
  readonly id: string;
  readonly name: string;
  readonly type: "http" | "schedule";
  readonly source: string;
  /** What its path's parameters stand for, decoded. */
  readonly params: Readonly<Record<string, string>>;
}
