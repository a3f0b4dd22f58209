import type { AppSpec, FunctionSpec } from "../../core/function-spec.ts";
import type { Trigger } from "../store/store.ts";

/** A function with its app: all that a call takes from them. */
export interface FoundFunction {
  readonly app: AppSpec;
  readonly fn: FunctionSpec;
}

/**
 * Finds functions for the invoke path. What it gives is immutable: a changed function is another object, and an
 * unchanged one the same, so that what is derived from it can be kept.
 */
export interface FunctionLookup {
  /** Undefined where there is no such function. @throws CallError when nobody can say */
  find(fnId: string, signal: AbortSignal): Promise<FoundFunction | undefined>;
}

/** Finds what triggers need before there is a function. Throws as FunctionLookup does, and gives the same objects. */
export interface TriggerLookup {
  /** The app of exactly this name. */
  appByName(name: string, signal: AbortSignal): Promise<AppSpec | undefined>;
  /** Every trigger of an app, by name; none where there is no such app. */
  triggersOf(appId: string, signal: AbortSignal): Promise<readonly Trigger[]>;
}
