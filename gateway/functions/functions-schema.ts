import { z } from "zod";

import type { JsonValue } from "../../core/call.ts";
import { DEFAULTS, LIMITS, type AppSpec, type FunctionSpec, tmpfsFault } from "../../core/function-spec.ts";
import { appIdOf, fnIdOf } from "./declared-ids.ts";
import {
  ANNOTATION_LIMITS,
  annotationExpected,
  annotationKey,
  configKey,
  entityId,
  entityName,
  fnName,
  image,
  isAnnotation,
  syslogUrl,
} from "./fields.ts";
import { functionSettings, readSettings, settingFields } from "./function-settings.ts";
import type { FoundFunction } from "./functions.ts";
import { annotationOf, isSettingAnnotation } from "./setting-annotations.ts";
import { integer, seconds } from "./setting-values.ts";

const config = z.record(configKey, z.string("expected a string: put it in quotes"));
const annotations = z
  .record(annotationKey, z.json().refine(isAnnotation, annotationExpected))
  .refine(
    (all) => Object.keys(all).length <= ANNOTATION_LIMITS.keys,
    `expected at most ${ANNOTATION_LIMITS.keys} keys`,
  );

const fnFields = z.strictObject({
  id: entityId.optional(),
  name: fnName,
  image,
  memory: integer(LIMITS.memoryMiB, "MB").optional(),
  timeout: seconds(LIMITS.timeoutMs).optional(),
  idle_timeout: seconds(LIMITS.idleTimeoutMs).optional(),
  config: config.optional(),
  annotations: annotations.optional(),
  ...settingFields.shape,
});

const fn = fnFields.superRefine((declared, context) => {
  const { settings, faults } = readSettings(declared.annotations ?? {}, settingsIn(declared));
  for (const { path, value, message } of faults) {
    context.addIssue({ code: "custom", path: [...path], input: value, message });
  }
  const { tmpfsMiB } = settings;
  const tooLarge = tmpfsFault({ tmpfsMiB, memoryMiB: declared.memory ?? DEFAULTS.memoryMiB });
  if (tooLarge === undefined) return;
  const path = declared.tmpfs_size === undefined ? ["annotations", annotationOf("tmpfs_size")] : ["tmpfs_size"];
  context.addIssue({ code: "custom", path, input: tmpfsMiB, message: `expected ${tooLarge}` });
});

const app = z.strictObject({
  id: entityId.optional(),
  name: entityName,
  config: config.optional(),
  annotations: annotations
    .refine(hasNoSettings, "expected no key that begins with kiln/: those are a function's")
    .optional(),
  syslog_url: syslogUrl.optional(),
  fns: z.array(fn).optional(),
});

/** A file of apps and their functions, in the words of Fn's API. */
export const functionsSchema = z.strictObject({ apps: z.array(app) }).superRefine(refuseDuplicates);

type Declared = z.output<typeof functionsSchema>;
type DeclaredApp = Declared["apps"][number];
type DeclaredFn = NonNullable<DeclaredApp["fns"]>[number];

/** The fields there may be at a path of the file. */
export function fieldsAt(path: readonly PropertyKey[]): readonly string[] {
  if (path.length === 0) return Object.keys(functionsSchema.shape);
  return Object.keys(path.length === 2 ? app.shape : fnFields.shape);
}

/** Every declared function, with Fn's defaults where nothing is said. */
export function declaredFunctions(declared: Declared): FoundFunction[] {
  return declared.apps.flatMap((one) => {
    const spec = appSpec(one);
    return (one.fns ?? []).map((each) => ({ app: spec, fn: functionSpec(spec, each) }));
  });
}

function appSpec(declared: DeclaredApp): AppSpec {
  return {
    id: declared.id ?? appIdOf(declared.name),
    name: declared.name,
    config: declared.config ?? {},
    annotations: declared.annotations ?? {},
    syslogUrl: declared.syslog_url ?? "",
  };
}

function functionSpec(owner: AppSpec, declared: DeclaredFn): FunctionSpec {
  const { annotations = {} } = declared;
  return {
    id: declared.id ?? fnIdOf(owner.name, declared.name),
    appId: owner.id,
    name: declared.name,
    image: declared.image,
    memoryMiB: declared.memory ?? DEFAULTS.memoryMiB,
    timeoutMs: declared.timeout ?? DEFAULTS.timeoutMs,
    idleTimeoutMs: declared.idle_timeout ?? DEFAULTS.idleTimeoutMs,
    config: declared.config ?? {},
    annotations,
    ...functionSettings(annotations, settingsIn(declared)),
  };
}

function settingsIn(declared: z.output<typeof fnFields>): z.output<typeof settingFields> {
  const { tmpfs_size, cpus, on_cancel, idempotent, concurrency, max_calls, min_containers, max_containers } = declared;
  return { tmpfs_size, cpus, on_cancel, idempotent, concurrency, max_calls, min_containers, max_containers };
}

function hasNoSettings(annotated: Readonly<Record<string, JsonValue>>): boolean {
  return !Object.keys(annotated).some(isSettingAnnotation);
}

function refuseDuplicates({ apps }: Declared, context: z.RefinementCtx): void {
  const appNames = unique(context, "app name");
  const appIds = unique(context, "app id");
  const fnIds = unique(context, "function id");
  for (const [a, one] of apps.entries()) {
    // Derived ids are as good as the names that they come from, and told of with them.
    if (!appNames(one.name, ["apps", a, "name"])) continue;
    appIds(one.id ?? appIdOf(one.name), ["apps", a, one.id === undefined ? "name" : "id"]);
    const fnNames = unique(context, "name in its app");
    for (const [f, each] of (one.fns ?? []).entries()) {
      if (!fnNames(each.name, ["apps", a, "fns", f, "name"])) continue;
      fnIds(each.id ?? fnIdOf(one.name, each.name), ["apps", a, "fns", f, each.id === undefined ? "name" : "id"]);
    }
  }
}

/** Tells whether a value comes for the first time, and faults it where it does not. */
function unique(context: z.RefinementCtx, what: string): (value: string, path: (string | number)[]) => boolean {
  const seen = new Set<string>();
  return (value, path) => {
    const fresh = !seen.has(value);
    if (!fresh)
      context.addIssue({ code: "custom", path, input: value, message: `expected another ${what}: it is taken` });
    seen.add(value);
    return fresh;
  };
}
