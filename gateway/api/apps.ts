import { z } from "zod";

import { CallError } from "../../core/call-error.ts";
import { entityName, syslogUrl } from "../functions/fields.ts";
import { isSettingAnnotation } from "../functions/setting-annotations.ts";
import type { AppFilter, Store, StoredApp } from "../store/store.ts";
import { annotations, annotationsChange, config, configChange, SHAPES, stamps } from "./common-schemas.ts";
import { merged, mergedAnnotations } from "./merge.ts";
import { type ChangeRequest, refuseChange, type Resource } from "./resource.ts";
import { shownStamps, unlessEmpty } from "./shown.ts";

const shape = z.enum(SHAPES, `expected one of ${SHAPES.join(", ")}`);
const syslog = syslogUrl.describe("Where its containers' output goes");

const create = z.object({
  name: entityName,
  config: config.optional(),
  annotations: annotations.optional(),
  syslog_url: syslog.optional(),
  shape: shape.optional(),
});

const update = z.object({
  name: z.string().optional().describe("Only the one it has"),
  config: configChange.optional(),
  annotations: annotationsChange.optional(),
  syslog_url: syslog.nullable().optional(),
});

const entity = z.object({
  id: z.string(),
  name: z.string(),
  config: config.optional(),
  annotations: annotations.optional(),
  syslog_url: z.string().optional(),
  shape: shape.optional(),
  ...stamps,
});

type Create = z.output<typeof create>;
type Update = z.output<typeof update>;

export function appsResource(store: Store): Resource<StoredApp, AppFilter, Create, Update> {
  return {
    noun: "app",
    path: "/v2/apps",
    idName: "app_id",
    schemas: { create, update, entity, query: z.object({}) },
    collection: store.apps,
    uniqueNames: true,
    filter: ({ name }) => ({ name: name === "" ? undefined : name }),
    made: ({ name, config = {}, annotations = {}, syslog_url = "", shape = "" }) => ({
      name,
      config,
      annotations: appAnnotations({}, annotations),
      syslogUrl: syslog_url.trim(),
      shape,
    }),
    changed,
    shown: async (apps) => apps.map(shown),
  };
}

function changed(current: StoredApp, request: ChangeRequest<Update>): StoredApp {
  const { name, config, annotations, syslog_url } = request.change;
  if (name !== undefined && name !== current.name) throw new CallError("name_immutable");
  refuseChange(request, { shape: current.shape });
  return {
    ...current,
    config: config === null ? {} : merged(current.config, config),
    annotations: annotations === null ? {} : appAnnotations(current.annotations, annotations),
    syslogUrl: syslog_url === undefined ? current.syslogUrl : (syslog_url ?? "").trim(),
  };
}

function appAnnotations(...[current, change]: Parameters<typeof mergedAnnotations>) {
  const result = mergedAnnotations(current, change);
  const setting = Object.keys(result).find(isSettingAnnotation);
  if (setting === undefined) return result;
  throw new CallError("invalid_field", `Invalid field: annotations.${setting} is a function's, expected no kiln/ key`);
}

function shown(app: StoredApp): object {
  const { id, name, config, annotations, syslogUrl, shape } = app;
  return {
    id,
    name,
    ...unlessEmpty({ config, annotations }),
    ...(syslogUrl === "" ? {} : { syslog_url: syslogUrl }),
    ...(shape === "" ? {} : { shape }),
    ...shownStamps(app),
  };
}
