import { CallError } from "../../core/call-error.ts";
import type { DriverHook, HotContainer, RunCall, Start } from "./driver.ts";

/** Wraps the driver's start; the first hook is the outermost. What a hook throws after the start ends the container. */
export function wrapStart<Options>(start: Start<Options>, hooks: readonly DriverHook<Options>[]): Start<Options> {
  return async (asked, signal) => {
    let started: Promise<HotContainer> | undefined;
    const innermost: Start<Options> = (inner, innerSignal) => (started = start(inner, innerSignal));
    const outermost = hooks.reduceRight(
      (next, { start: hook }) => (hook === undefined ? next : enter(hook, next)),
      innermost,
    );
    try {
      return await outermost(asked, signal);
    } catch (error) {
      await (await started?.catch(() => undefined))?.[Symbol.asyncDispose]();
      throw error;
    }
  };
}

/** Wraps the running of a call; the first hook is the outermost. */
export function wrapCall<Options>(run: RunCall, hooks: readonly DriverHook<Options>[]): RunCall {
  return hooks.reduceRight((next, { call: hook }) => (hook === undefined ? next : enter(hook, next)), run);
}

type Step<Argument, Result> = (argument: Argument, signal: AbortSignal) => Promise<Result>;

/** One onion layer around one passage: a second `next` would start a second container or run. */
function enter<A, R>(hook: (next: Step<A, R>) => Step<A, R>, next: Step<A, R>): Step<A, R> {
  return async (argument, signal) => {
    let entered = false;
    const once: Step<A, R> = (inner, innerSignal) => {
      if (entered) throw new CallError("hook_failed", "A driver hook called next() twice");
      entered = true;
      return next(inner, innerSignal);
    };
    try {
      return await hook(once)(argument, signal);
    } catch (error) {
      throw CallError.from(error, "hook_failed");
    }
  };
}
