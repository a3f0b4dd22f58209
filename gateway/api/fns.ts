import { z } from "zod";

import { CallError } from "../../core/call-error.ts";
import { DEFAULTS, LIMITS, tmpfsFault } from "../../core/function-spec.ts";
import { INVOKE_ENDPOINT } from "../functions/computed-annotations.ts";
import { fnName, image } from "../functions/fields.ts";
import { functionSettings, settingFields, settingsOf } from "../functions/function-settings.ts";
import { integer } from "../functions/setting-values.ts";
import type { FnFilter, Store, StoredFn } from "../store/store.ts";
import { annotations, annotationsChange, config, configChange, stamps } from "./common-schemas.ts";
import type { EndpointBase } from "./endpoint-base.ts";
import { settingsAsAnnotations } from "./fn-settings.ts";
import { merged, mergedAnnotations } from "./merge.ts";
import { type ChangeRequest, refuseChange, type Resource } from "./resource.ts";
import { shownStamps } from "./shown.ts";

const seconds = ({ max }: { readonly max: number }) => integer({ min: 1, max: max / 1_000 }, "seconds");

const limits = {
  timeout: seconds(LIMITS.timeoutMs).describe("Longest run of a call, seconds"),
  idle_timeout: seconds(LIMITS.idleTimeoutMs).describe("How long a container waits for another call, seconds"),
  memory: integer(LIMITS.memoryMiB, "MB").describe("Memory of a container, MB"),
};

const create = z.object({
  app_id: z.string(),
  name: fnName,
  image,
  ...z.object(limits).partial().shape,
  config: config.optional(),
  annotations: annotations.optional(),
  ...settingFields.shape,
});

const nullable = <T extends z.ZodType>(schema: T) => schema.nullable().optional();

const update = z.object({
  name: z.string().optional().describe("Only the one it has"),
  image: image.optional(),
  timeout: nullable(limits.timeout),
  idle_timeout: nullable(limits.idle_timeout),
  memory: nullable(limits.memory),
  config: configChange.optional(),
  annotations: annotationsChange.optional(),
  ...z.object(Object.fromEntries(Object.entries(settingFields.shape).map(([name, schema]) => [name, nullable(schema)])))
    .shape,
});

const entity = z.object({
  id: z.string(),
  app_id: z.string(),
  name: z.string(),
  image: z.string(),
  ...limits,
  config,
  annotations,
  shape: z.string().optional().describe("Its app's, when it was made"),
  ...settingFields.required().shape,
  ...stamps,
});

type Create = z.output<typeof create>;
type Update = z.output<typeof update>;

export function fnsResource(store: Store, base: EndpointBase): Resource<StoredFn, FnFilter, Create, Update> {
  return {
    noun: "fn",
    path: "/v2/fns",
    idName: "fn_id",
    schemas: { create, update, entity, query: z.object({ app_id: z.string().describe("Of this app") }) },
    collection: store.fns,
    uniqueNames: true,
    filter({ app_id, name }) {
      if (app_id === undefined || app_id === "") throw new CallError("missing_field", "Missing field: app_id");
      return { appId: app_id, name: name === "" ? undefined : name };
    },
    async made(body, raw) {
      const app = await store.apps.get(body.app_id);
      if (app === undefined) throw new CallError("app_not_found");
      const annotations = settingsAsAnnotations(raw, mergedAnnotations({}, body.annotations));
      return fitting({
        appId: app.id,
        name: body.name,
        image: body.image,
        memoryMiB: body.memory ?? DEFAULTS.memoryMiB,
        timeoutMs: body.timeout === undefined ? DEFAULTS.timeoutMs : body.timeout * 1_000,
        idleTimeoutMs: body.idle_timeout === undefined ? DEFAULTS.idleTimeoutMs : body.idle_timeout * 1_000,
        config: body.config ?? {},
        annotations,
        shape: app.shape,
        ...functionSettings(annotations),
      });
    },
    changed,
    shown: async (fns, c) => fns.map((fn) => shown(fn, `${base(c)}/invoke/${fn.id}`)),
  };
}

function changed(current: StoredFn, request: ChangeRequest<Update>): StoredFn {
  const { change, raw } = request;
  refuseChange(request, { name: current.name, app_id: current.appId, shape: current.shape });
  const given = change.annotations === null ? {} : mergedAnnotations(current.annotations, change.annotations);
  const annotations = settingsAsAnnotations(raw, given, current);
  return fitting({
    ...current,
    image: change.image ?? current.image,
    memoryMiB: settled(change.memory, current.memoryMiB, DEFAULTS.memoryMiB),
    timeoutMs: settled(change.timeout, current.timeoutMs, DEFAULTS.timeoutMs, 1_000),
    idleTimeoutMs: settled(change.idle_timeout, current.idleTimeoutMs, DEFAULTS.idleTimeoutMs, 1_000),
    config: change.config === null ? {} : merged(current.config, change.config),
    annotations,
    ...functionSettings(annotations),
  });
}

/** The function itself. @throws CallError `invalid_field` where two of its fields do not go together */
function fitting<T extends Pick<StoredFn, "tmpfsMiB" | "memoryMiB">>(fn: T): T {
  const tooLarge = tmpfsFault(fn);
  if (tooLarge === undefined) return fn;
  throw new CallError("invalid_field", `Invalid field: tmpfs_size is ${fn.tmpfsMiB}, expected ${tooLarge}`);
}

/** What is given; null is the default, and nothing is what there is. */
function settled(given: number | null | undefined, current: number, fallback: number, factor = 1): number {
  if (given === undefined) return current;
  return given === null ? fallback : given * factor;
}

function shown(fn: StoredFn, endpoint: string): object {
  return {
    id: fn.id,
    name: fn.name,
    app_id: fn.appId,
    image: fn.image,
    memory: fn.memoryMiB,
    timeout: wholeSeconds(fn.timeoutMs),
    idle_timeout: wholeSeconds(fn.idleTimeoutMs),
    config: fn.config,
    annotations: { ...fn.annotations, [INVOKE_ENDPOINT]: endpoint },
    ...(fn.shape === "" ? {} : { shape: fn.shape }),
    ...settingsOf(fn),
    ...shownStamps(fn),
  };
}

/** Go's clients read no fraction, which a functions file may have. */
function wholeSeconds(ms: number): number {
  return Math.max(1, Math.round(ms / 1_000));
}
