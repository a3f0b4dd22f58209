import { z } from "zod";

import type { JsonValue } from "../../core/call.ts";
import { DEFAULTS, type AppSpec, type FunctionSpec } from "../../core/function-spec.ts";
import { isComputedAnnotation } from "../functions/computed-annotations.ts";
import { functionSettings } from "../functions/function-settings.ts";
import type { Trigger } from "../store/store.ts";

// As Fn and Kiln show them. What else there is, and in which zone their times are, is nobody's concern here.
const config = z.record(z.string(), z.string()).nullish();
const annotations = z.record(z.string(), z.json()).nullish();

const app = z.object({
  id: z.string().min(1),
  name: z.string(),
  config,
  annotations,
  syslog_url: z.string().nullish(),
  shape: z.string().nullish(),
});

const fn = z.object({
  id: z.string().min(1),
  app_id: z.string(),
  name: z.string(),
  image: z.string(),
  memory: z.number().nullish(),
  timeout: z.number().nullish(),
  idle_timeout: z.number().nullish(),
  config,
  annotations,
});

const trigger = z.object({
  id: z.string().min(1),
  app_id: z.string(),
  fn_id: z.string(),
  name: z.string(),
  type: z.string(),
  source: z.string(),
  annotations,
});

/** An app with what only the API knows of it. */
export interface ApiApp extends AppSpec {
  readonly shape: string;
}

/** @throws ZodError for what is no app */
export function readApp(body: unknown): ApiApp {
  const { id, name, config, annotations, syslog_url, shape } = app.parse(body);
  return {
    id,
    name,
    config: config ?? {},
    annotations: kept(annotations),
    syslogUrl: syslog_url ?? "",
    shape: shape ?? "",
  };
}

/** Its settings are those of its annotations, which say all of them. @throws ZodError, CallError */
export function readFn(body: unknown): FunctionSpec {
  const { id, app_id, name, image, memory, timeout, idle_timeout, config, ...rest } = fn.parse(body);
  const annotations = kept(rest.annotations);
  return {
    id,
    appId: app_id,
    name,
    image,
    memoryMiB: memory ?? DEFAULTS.memoryMiB,
    timeoutMs: milliseconds(timeout) ?? DEFAULTS.timeoutMs,
    idleTimeoutMs: milliseconds(idle_timeout) ?? DEFAULTS.idleTimeoutMs,
    config: config ?? {},
    annotations,
    ...functionSettings(annotations),
  };
}

/** @throws ZodError for what is no trigger */
export function readTrigger(body: unknown): Trigger {
  const { id, app_id, fn_id, name, type, source, annotations } = trigger.parse(body);
  return { id, appId: app_id, fnId: fn_id, name, type, source, annotations: kept(annotations) };
}

function kept(annotations: Readonly<Record<string, JsonValue>> | null | undefined) {
  return Object.fromEntries(Object.entries(annotations ?? {}).filter(([key]) => !isComputedAnnotation(key)));
}

function milliseconds(seconds: number | null | undefined): number | undefined {
  return seconds === null || seconds === undefined ? undefined : Math.round(seconds * 1_000);
}
