import type { JsonValue } from "../../core/call.ts";
import type { AppSpec, FunctionSpec } from "../../core/function-spec.ts";

/** What the store itself says of everything in it. */
export interface Stored {
  /** Milliseconds since 1970. */
  readonly createdMs: number;
  /** Moves with every change, and with nothing else. */
  readonly updatedMs: number;
}

export interface StoredApp extends AppSpec, Stored {
  /** Processor architectures, in Fn's words; empty where none was said. */
  readonly shape: string;
}

export interface StoredFn extends FunctionSpec, Stored {
  /** Its app's, when it was made. */
  readonly shape: string;
}

/** What makes a function run, beside a direct invocation. */
export interface Trigger {
  readonly id: string;
  readonly appId: string;
  readonly fnId: string;
  readonly name: string;
  readonly type: string;
  readonly source: string;
  readonly annotations: Readonly<Record<string, JsonValue>>;
}

export interface StoredTrigger extends Trigger, Stored {
  /** When a schedule runs next, milliseconds since 1970. */
  readonly nextMs?: number;
}

/** A schedule whose time has come. */
export interface DueTrigger extends Trigger {
  readonly dueMs: number;
}

/** What several gateways need to run each schedule once. */
export interface Schedules {
  /** Those whose next run is not after this, the oldest first. */
  due(untilMs: number, limit: number): Promise<readonly DueTrigger[]>;
  /** Moves a schedule's next run, or takes it away, if it still is `dueMs`: of all who try, one gets true. */
  claim(id: string, dueMs: number, nextMs: number | undefined): Promise<boolean>;
}

/** The part of a list that comes after `after`, in ascending order of name, then id. */
export interface Page {
  readonly after?: { readonly name: string; readonly id?: string } | undefined;
  readonly limit: number;
}

/** What it is before the store has it: the id may be given, and is minted where it is not. */
export type New<T extends Stored & { readonly id: string }> = Omit<T, "id" | keyof Stored> & { readonly id?: string };

/** Makes the next version from the current one; what it throws leaves the current one in place. */
export type Change<T> = (current: T) => T;

/** Entities of one kind. All of it throws CallError: `…_not_found`, `already_exists`, `store_unavailable`. */
export interface Collection<T extends Stored & { readonly id: string }, Filter> {
  insert(made: New<T>): Promise<T>;
  get(id: string): Promise<T | undefined>;
  list(filter: Filter, page: Page): Promise<readonly T[]>;
  /** Reads, changes and writes as one; a change that returns equal fields writes nothing. */
  update(id: string, change: Change<T>): Promise<T>;
  /** With all that belongs to it. `check` sees it first, and may throw. */
  delete(id: string, check?: (current: T) => void): Promise<void>;
}

export interface AppFilter {
  readonly name?: string | undefined;
}

export interface FnFilter {
  readonly appId: string;
  readonly name?: string | undefined;
}

export interface TriggerFilter {
  readonly appId: string;
  readonly fnId?: string | undefined;
  readonly name?: string | undefined;
}

export interface Triggers extends Collection<StoredTrigger, TriggerFilter> {
  /** The one with exactly this source. */
  bySource(appId: string, type: string, source: string): Promise<StoredTrigger | undefined>;
}

/** What may differ from what was read before: one entity, or anything at all. */
export type StoreChange =
  | { readonly kind: "app" | "fn" | "trigger"; readonly id: string; readonly appId: string }
  | { readonly kind: "all" };

/**
 * Apps, functions and triggers, on disk. What was answered is kept, whatever happens to the process. Several gateways
 * may share one: each hears of the others' changes within a second.
 */
export interface Store extends AsyncDisposable {
  readonly apps: Collection<StoredApp, AppFilter>;
  readonly fns: Collection<StoredFn, FnFilter>;
  readonly triggers: Triggers;
  readonly schedules: Schedules;
  /** Calls `changed` after every change, its own at once. The returned function ends that. */
  onChange(changed: (change: StoreChange) => void): () => void;
}
