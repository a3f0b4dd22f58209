import { CallError } from "../../core/call-error.ts";
import { pause, type Clock } from "../../core/clock.ts";
import type { HotFunction } from "../hot/hot-function.ts";
import { InvalidResponse } from "../hot/response-head.ts";

// A broken connection is seen first; Docker tells of the death behind it some 60 ms later.
const DEATH_NEWS_MS = 1_000;

/** Says why an exchange ended early: the container's death and its cause, or the connection's own trouble. */
export async function explainBreak(error: unknown, hot: HotFunction, clock: Clock): Promise<CallError> {
  if (error instanceof CallError) return error;
  if (error instanceof InvalidResponse && error.headTooLong) return new CallError("function_response_header_too_big");
  const news = new AbortController();
  const exit = await Promise.race([
    hot.container.exited,
    pause(clock, DEATH_NEWS_MS, news.signal).then(() => undefined),
  ]).finally(() => news.abort());
  const options = { cause: error, stderrTail: hot.container.stderrTail() };
  if (exit?.outOfMemory === true) {
    const text = `container out of memory, you may want to raise fn.memory for this function (it is ${hot.task.memoryMiB}MB)`;
    return new CallError("function_out_of_memory", text, options);
  }
  const why =
    exit === undefined
      ? `the connection to the function broke (${error instanceof Error ? error.message : String(error)})`
      : `the container exited with code ${exit.exitCode}`;
  return new CallError("function_response", `error receiving function response: ${why}`, options);
}
