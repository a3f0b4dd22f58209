import type { Settings } from "../../core/config.ts";
import { isLogged, type Log } from "../../core/log.ts";
import type { RUNNER_SETTINGS } from "../settings.ts";
import type { FunctionLine } from "./function-line.ts";

/** What writes functions' lines into the runner's own log, or undefined where the settings keep them out of it. */
export function logSink(
  settings: Pick<Settings<typeof RUNNER_SETTINGS>, "FN_USER_LOG_LEVEL" | "FN_LOG_LEVEL" | "FN_DISABLE_DEBUG_USER_LOGS">,
  log: Log,
): ((line: FunctionLine) => void) | undefined {
  const level = settings.FN_USER_LOG_LEVEL;
  if (settings.FN_DISABLE_DEBUG_USER_LOGS || !isLogged(level, settings.FN_LOG_LEVEL)) return undefined;
  return (line) => log[level]("Function wrote", fieldsOf(line));
}

/** Under Fn's names where Fn has one. */
function fieldsOf({ appId, fnId, image, containerId, callId, between, stream, text, partial }: FunctionLine) {
  const call = callId === undefined ? { between: between ? true : undefined } : { call_id: callId };
  const where = { app_id: appId, fn_id: fnId, image, container: containerId };
  return { user_log: true, ...where, ...call, stream, line: text, partial: partial ? true : undefined };
}
