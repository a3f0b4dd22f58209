import { z } from "zod";

import { CallError } from "../../core/call-error.ts";
import type { JsonValue } from "../../core/call.ts";
import { DEFAULTS, LIMITS, type FunctionSpec } from "../../core/function-spec.ts";
import { nearestName } from "../../core/nearest-name.ts";
import { cores, integer } from "./setting-values.ts";

/** What can be set of a function beyond the fields that Fn's API has. */
export type FunctionSettings = Pick<
  FunctionSpec,
  "tmpfsMiB" | "cpuMillis" | "onCancel" | "idempotent" | "concurrency" | "maxCalls" | "minContainers" | "maxContainers"
>;

/** Each is a field in a file of functions, and an annotation anywhere: `max_calls` and `kiln/max-calls`. */
export const settingFields = z
  .strictObject({
    tmpfs_size: integer(LIMITS.tmpfsMiB, "MB"),
    cpus: cores(LIMITS.cpuMillis),
    on_cancel: z.enum(["kill", "finish"], "expected kill or finish"),
    idempotent: z.boolean("expected true or false"),
    concurrency: integer(LIMITS.concurrency, "calls at the same time"),
    max_calls: integer(LIMITS.maxCalls, "calls of one container, 0 for no limit"),
    min_containers: integer(LIMITS.minContainers, "containers"),
    max_containers: integer(LIMITS.maxContainers, "containers, 0 for no limit"),
  })
  .partial();

type SettingFields = z.output<typeof settingFields>;

/** What is wrong, and where: a path below the function. */
export interface SettingFault {
  readonly path: readonly string[];
  readonly value: unknown;
  readonly message: string;
}

const PREFIX = "kiln/";
export const SETTING_NAMES: readonly string[] = Object.keys(settingFields.shape);

/** Annotations of this kind are Kiln's own: they become fields of the call, and containers do not see them. */
export function isSettingAnnotation(key: string): boolean {
  return key.startsWith(PREFIX);
}

/**
 * All settings of a function, with the defaults where nothing is said. A field goes before an annotation.
 * @throws CallError `invalid_field` naming the annotation, its value and what was expected
 */
export function functionSettings(
  annotations: Readonly<Record<string, JsonValue>>,
  fields: SettingFields = {},
): FunctionSettings {
  const { settings, faults } = readSettings(annotations, fields);
  const [fault] = faults;
  if (fault === undefined) return settings;
  const name = fault.path.join(" ");
  throw new CallError("invalid_field", `Invalid field: ${name} is ${JSON.stringify(fault.value)}, ${fault.message}`);
}

/** The same, with every fault instead of an error for the first. */
export function readSettings(
  annotations: Readonly<Record<string, JsonValue>>,
  fields: SettingFields,
): { readonly settings: FunctionSettings; readonly faults: readonly SettingFault[] } {
  const faults: SettingFault[] = [];
  const annotated: Record<string, JsonValue> = {};
  for (const [key, value] of Object.entries(annotations)) {
    if (!isSettingAnnotation(key)) continue;
    const path = ["annotations", key];
    const name = SETTING_NAMES.find((one) => annotationOf(one) === key);
    if (name === undefined) faults.push({ path, value, message: `expected ${meant(key)}` });
    else annotated[name] = plain(value);
  }
  const read = settingFields.safeParse(annotated, { reportInput: true });
  for (const {
    path: [name],
    input,
    message,
  } of read.error?.issues ?? []) {
    faults.push({ path: ["annotations", annotationOf(String(name))], value: input, message });
  }
  const settings = settled(fields, read.data ?? {});
  const { minContainers: least, maxContainers: most } = settings;
  if (most > 0 && least > most) {
    const path =
      fields.min_containers === undefined ? ["annotations", annotationOf("min_containers")] : ["min_containers"];
    faults.push({ path, value: least, message: `expected at most max_containers, ${most}` });
  }
  return { settings, faults };
}

/** Settings as the fields say them: `tmpfsMiB` is `tmpfs_size`. */
export function settingsOf(fn: FunctionSettings): Readonly<Record<string, JsonValue>> {
  return {
    tmpfs_size: fn.tmpfsMiB,
    cpus: fn.cpuMillis / 1_000,
    on_cancel: fn.onCancel,
    idempotent: fn.idempotent,
    concurrency: fn.concurrency,
    max_calls: fn.maxCalls,
    min_containers: fn.minContainers,
    max_containers: fn.maxContainers,
  };
}

function settled(fields: SettingFields, annotated: SettingFields): FunctionSettings {
  return {
    tmpfsMiB: fields.tmpfs_size ?? annotated.tmpfs_size ?? DEFAULTS.tmpfsMiB,
    cpuMillis: fields.cpus ?? annotated.cpus ?? DEFAULTS.cpuMillis,
    onCancel: fields.on_cancel ?? annotated.on_cancel ?? DEFAULTS.onCancel,
    idempotent: fields.idempotent ?? annotated.idempotent ?? DEFAULTS.idempotent,
    concurrency: fields.concurrency ?? annotated.concurrency ?? DEFAULTS.concurrency,
    maxCalls: fields.max_calls ?? annotated.max_calls ?? DEFAULTS.maxCalls,
    minContainers: fields.min_containers ?? annotated.min_containers ?? DEFAULTS.minContainers,
    maxContainers: fields.max_containers ?? annotated.max_containers ?? DEFAULTS.maxContainers,
  };
}

/** The annotation that says the same as a field. */
export function annotationOf(name: string): string {
  return PREFIX + name.replaceAll("_", "-");
}

function meant(key: string): string {
  const known = SETTING_NAMES.map(annotationOf);
  return nearestName(key, known, 3) ?? `one of ${known.join(", ")}`;
}

/** Fn's own client sends some numbers and truth values as text. */
function plain(value: JsonValue): JsonValue {
  return typeof value === "string" && /^(\d+|true|false)$/.test(value) ? (JSON.parse(value) as JsonValue) : value;
}
