import { isDeepStrictEqual } from "node:util";

import type { Context } from "hono";
import { z } from "zod";

import { CallError } from "../../core/call-error.ts";
import { NEXT_RUN, TRIGGER_ENDPOINT } from "../functions/computed-annotations.ts";
import { atMostBytes, entityName } from "../functions/fields.ts";
import type { GatewayEnv } from "../overrider.ts";
import { nextRun, scheduleSettings } from "../schedules/schedule-settings.ts";
import type { Store, StoredTrigger, TriggerFilter } from "../store/store.ts";
import { checkTriggerSettings, readTriggerSettings } from "../triggers/trigger-settings.ts";
import { annotations, annotationsChange, stamps } from "./common-schemas.ts";
import type { EndpointBase } from "./endpoint-base.ts";
import { mergedAnnotations } from "./merge.ts";
import { type ChangeRequest, refuseChange, type Resource } from "./resource.ts";
import { shownStamps, unlessEmpty } from "./shown.ts";

const LONGEST_SOURCE = 1_024;

const type = z.enum(["http", "schedule"], "expected http or schedule");
const source = z
  .string()
  .regex(/^\/[^\0]*$/, "expected a path that begins with /")
  .refine((text) => text.isWellFormed(), "expected whole characters")
  .check(atMostBytes(LONGEST_SOURCE))
  .describe("What follows /t/ and the app's name");
// Go's clients cannot leave a time out: they send that of the year 1.
const noTime = z
  .string()
  .refine((time) => time.startsWith("0001-01-01T"), "expected none: the server sets it")
  .optional();

const create = z.object({
  created_at: noTime,
  updated_at: noTime,
  app_id: z.string(),
  name: entityName,
  fn_id: z.string(),
  type,
  source,
  annotations: annotations.optional(),
});

const update = z.object({
  app_id: z.string().optional().describe("Only the one it has"),
  name: entityName.optional(),
  fn_id: z.string().optional(),
  source: source.optional(),
  annotations: annotationsChange.optional(),
});

const entity = z.object({
  id: z.string(),
  name: z.string(),
  app_id: z.string(),
  fn_id: z.string(),
  type,
  source: z.string(),
  annotations: annotations.optional(),
  ...stamps,
});

type Create = z.output<typeof create>;
type Update = z.output<typeof update>;

export function triggersResource(
  store: Store,
  base: EndpointBase,
): Resource<StoredTrigger, TriggerFilter, Create, Update> {
  const query = z.object({
    app_id: z.string().describe("Of this app"),
    fn_id: z.string().optional().describe("Only of this function"),
  });
  return {
    noun: "trigger",
    path: "/v2/triggers",
    idName: "trigger_id",
    schemas: { create, update, entity, query },
    collection: store.triggers,
    uniqueNames: false,
    filter({ app_id, fn_id, name }) {
      if (app_id === undefined || app_id === "") throw new CallError("missing_field", "Missing field: app_id");
      return { appId: app_id, fnId: fn_id === "" ? undefined : fn_id, name: name === "" ? undefined : name };
    },
    made: ({ app_id, fn_id, name, type, source, annotations }) => ({
      appId: app_id,
      fnId: fn_id,
      name,
      type,
      source,
      ...withSettings(type, mergedAnnotations({}, annotations)),
    }),
    changed,
    shown: (triggers, c) => shownWithEndpoint(triggers, c, store, base),
  };
}

function changed(current: StoredTrigger, request: ChangeRequest<Update>): StoredTrigger {
  const { app_id, name, fn_id, source, annotations } = request.change;
  refuseChange(request, { type: current.type });
  if (app_id !== undefined && app_id !== current.appId) {
    throw new CallError(
      "invalid_field",
      `Invalid field: app_id is not the trigger's, which cannot move to another app`,
    );
  }
  const next = annotations === null ? {} : mergedAnnotations(current.annotations, annotations);
  return {
    ...current,
    name: name ?? current.name,
    fnId: fn_id ?? current.fnId,
    source: source ?? current.source,
    // What stays as it is keeps its next run.
    ...(isDeepStrictEqual(next, current.annotations) ? {} : withSettings(current.type, next)),
  };
}

function withSettings(type: string, annotations: StoredTrigger["annotations"]) {
  if (type === "schedule") {
    const nextMs = nextRun(scheduleSettings(annotations), Date.now());
    return { annotations, ...(nextMs === undefined ? {} : { nextMs }) };
  }
  checkTriggerSettings(annotations);
  return { annotations };
}

/** All of one app, as every list and every single one is. */
async function shownWithEndpoint(
  triggers: readonly StoredTrigger[],
  c: Context<GatewayEnv>,
  store: Store,
  base: EndpointBase,
): Promise<readonly object[]> {
  const [first] = triggers;
  if (first === undefined) return [];
  const app = await store.apps.get(first.appId);
  return triggers.map((trigger) => {
    if (trigger.nextMs !== undefined) {
      return shownTrigger(trigger, { [NEXT_RUN]: new Date(trigger.nextMs).toISOString() });
    }
    if (app === undefined || trigger.type !== "http") return shownTrigger(trigger);
    return shownTrigger(trigger, { [TRIGGER_ENDPOINT]: `${base(c)}/t/${app.name}${pathOf(trigger)}` });
  });
}

/** The pattern where it has one, which is then all that it is called by. */
function pathOf({ source, annotations }: StoredTrigger): string {
  return readTriggerSettings(annotations).settings.path ?? source;
}

/** A trigger as clients see it; `computed` is added to its annotations. */
export function shownTrigger(trigger: StoredTrigger, computed: Readonly<Record<string, string>> = {}): object {
  const { id, name, appId, fnId, type, source, annotations } = trigger;
  return {
    id,
    name,
    app_id: appId,
    fn_id: fnId,
    type,
    source,
    ...unlessEmpty({ annotations: { ...annotations, ...computed } }),
    ...shownStamps(trigger),
  };
}
