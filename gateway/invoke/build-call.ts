import type { Call, CallId, ExtensionMap, JsonValue } from "../../core/call.ts";
import type { AppSpec, FunctionSpec } from "../../core/function-spec.ts";
import { isComputedAnnotation } from "../functions/computed-annotations.ts";
import type { FoundFunction } from "../functions/functions.ts";
import { isSettingAnnotation } from "../functions/setting-annotations.ts";
import { DIRECT, type CallRequest } from "./framing.ts";

/** Kiln's own annotations are fields of the call by now: kept, a change of them would cost warm containers. */
function isForContainers(key: string): boolean {
  return !isComputedAnnotation(key) && !isSettingAnnotation(key);
}

// Frozen, as all calls share it: who writes into it gets an error, not another call's extension.
const NO_EXTENSIONS: ExtensionMap = Object.freeze({});

/** The call as it is before any overrider. */
export function buildCall(id: CallId, { app, fn }: FoundFunction, request: CallRequest, framing = DIRECT): Call {
  const { type, headers } = framing.request(request);
  const { config, annotations } = merged(app, fn);
  return {
    id,
    type,
    appId: app.id,
    appName: app.name,
    fnId: fn.id,
    fnName: fn.name,
    image: fn.image,
    memoryMiB: fn.memoryMiB,
    cpuMillis: fn.cpuMillis,
    tmpfsMiB: fn.tmpfsMiB,
    timeoutMs: fn.timeoutMs,
    idleTimeoutMs: fn.idleTimeoutMs,
    concurrency: fn.concurrency,
    maxCalls: fn.maxCalls,
    minContainers: fn.minContainers,
    maxContainers: fn.maxContainers,
    config,
    annotations,
    syslogUrl: app.syslogUrl,
    networkDisabled: false,
    onCancel: fn.onCancel,
    idempotent: fn.idempotent,
    method: request.method,
    url: request.url,
    headers,
    extensions: NO_EXTENSIONS,
    callExtensions: NO_EXTENSIONS,
    registryToken: "",
  };
}

interface Merged {
  readonly app: AppSpec;
  readonly config: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, JsonValue>>;
}

const kept = new WeakMap<FunctionSpec, Merged>();

/** App overlaid by function, made once for both: equal functions then have the same objects. */
function merged(app: AppSpec, fn: FunctionSpec): Merged {
  const before = kept.get(fn);
  if (before?.app === app) return before;
  const made = {
    app,
    config: Object.freeze({ ...app.config, ...fn.config }),
    annotations: Object.freeze(forContainers({ ...app.annotations, ...fn.annotations })),
  };
  kept.set(fn, made);
  return made;
}

function forContainers(annotations: Record<string, JsonValue>): Record<string, JsonValue> {
  return Object.fromEntries(Object.entries(annotations).filter(([key]) => isForContainers(key)));
}
