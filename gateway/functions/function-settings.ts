import { z } from "zod";

import type { JsonValue } from "../../core/call.ts";
import { DEFAULTS, LIMITS, type FunctionSpec } from "../../core/function-spec.ts";
import { annotationOf, readAnnotated, refuseFaults, type SettingFault } from "./setting-annotations.ts";
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

export const SETTING_NAMES: readonly string[] = Object.keys(settingFields.shape);

/**
 * All settings of a function, with the defaults where nothing is said. A field goes before an annotation.
 * @throws CallError `invalid_field` naming the annotation, its value and what was expected
 */
export function functionSettings(
  annotations: Readonly<Record<string, JsonValue>>,
  fields: SettingFields = {},
): FunctionSettings {
  const { settings, faults } = readSettings(annotations, fields);
  refuseFaults(faults);
  return settings;
}

/** The same, with every fault instead of an error for the first. */
export function readSettings(
  annotations: Readonly<Record<string, JsonValue>>,
  fields: SettingFields,
): { readonly settings: FunctionSettings; readonly faults: readonly SettingFault[] } {
  const read = readAnnotated(settingFields, annotations);
  const faults = [...read.faults];
  const settings = settled(fields, read.values ?? {});
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
