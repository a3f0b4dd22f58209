import { z } from "zod";

import type { JsonValue } from "../../core/call.ts";
import { readAnnotated, refuseFaults, type SettingFault } from "../functions/setting-annotations.ts";
import { METHODS } from "./methods.ts";

const PARAMETER = /^:[A-Za-z][A-Za-z0-9_-]{0,63}\??$/;
const LITERAL = /^[^:*{}?#\0]+$/;

// Regular expressions, which Hono's patterns may hold, could keep a whole gateway busy.
const path = z
  .string("expected a path")
  .refine(isPattern, "expected a path such as /users/:id, /users/:id? or /files/*, without regular expressions")
  .refine(hasDistinctNames, "expected parameters of different names");

const methods = list(
  z
    .string()
    .toUpperCase()
    .pipe(z.enum(METHODS, `expected methods, of ${METHODS.join(", ")}`)),
);

const host = z
  .string()
  .toLowerCase()
  .regex(/^(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*$/, "expected a host such as api.example.com or *.example.com");

const origin = z
  .string()
  .refine((text) => text === "*" || isOrigin(text), "expected * or an origin such as https://example.com");

const headerName = z.string().regex(/^[!#$%&'*+\-.^_`|~\w]+$/, "expected the name of a header");

const corsFields = z
  .strictObject(
    {
      origins: list(origin),
      methods: methods.optional(),
      headers: list(headerName).optional(),
      expose: list(headerName).optional(),
      credentials: z.boolean("expected true or false").default(false),
      max_age: z.int("expected seconds").min(0, "expected seconds").max(86_400, "expected at most 86400").optional(),
    },
    { error: "expected true, or an object with origins" },
  )
  .refine(
    ({ origins, credentials }) => !(credentials && origins.includes("*")),
    "expected origins by name where credentials is true",
  );

const cors = z.preprocess((value) => (value === true ? { origins: "*" } : value), corsFields);

const INVOKE_TYPES = ["sync", "detached", "client"] as const;

/** What can be set of an HTTP trigger beyond Fn's fields: annotations, such as `kiln/invoke-type`. */
const settingFields = z
  .strictObject({
    path,
    methods,
    hosts: list(host),
    cors,
    invoke_type: z.enum(INVOKE_TYPES, `expected one of ${INVOKE_TYPES.join(", ")}`),
  })
  .partial();

/** `methods` are what the trigger takes, where it says no others. */
export type CorsSettings = z.output<typeof corsFields>;

export interface TriggerSettings {
  /** A pattern, in the place of the exact source. */
  readonly path: string | undefined;
  /** Undefined: all. */
  readonly methods: readonly string[] | undefined;
  /** In lower case; undefined: all. */
  readonly hosts: readonly string[] | undefined;
  readonly cors: CorsSettings | undefined;
  /** `client`: as the request's `Fn-Invoke-Type` says. */
  readonly invokeType: (typeof INVOKE_TYPES)[number];
}

type Annotations = Readonly<Record<string, JsonValue>>;

/** @throws CallError `invalid_field` naming the annotation, its value and what was expected */
export function checkTriggerSettings(annotations: Annotations): void {
  refuseFaults(readTriggerSettings(annotations).faults);
}

/** Where there are faults, the settings are not to be used. */
export function readTriggerSettings(annotations: Annotations): {
  readonly settings: TriggerSettings;
  readonly faults: readonly SettingFault[];
} {
  const { values = {}, faults } = readAnnotated(settingFields, annotations);
  const { path, methods, hosts, cors, invoke_type: invokeType = "sync" } = values;
  return { settings: { path, methods, hosts, cors: cors && { methods, ...cors }, invokeType }, faults };
}

/** A list, or its items in one text, as Fn's client can give it. */
function list<T>(item: z.ZodType<T, string>) {
  const items = z.array(item, "expected a list").min(1, "expected at least one");
  return z.preprocess((value) => (typeof value === "string" ? value.split(/[\s,]+/).filter(Boolean) : value), items);
}

function isPattern(text: string): boolean {
  const segments = text.split("/");
  if (segments.shift() !== "" || !text.isWellFormed()) return false;
  return segments.every((segment, i) => {
    const last = i === segments.length - 1;
    if (segment === "*" || segment.endsWith("?")) return last && (segment === "*" || PARAMETER.test(segment));
    return segment === "" ? last : PARAMETER.test(segment) || LITERAL.test(segment);
  });
}

/** As headers they are told apart without case. */
function hasDistinctNames(text: string): boolean {
  const names = text.split("/").flatMap((one) => (one.startsWith(":") ? [one.replace("?", "").toLowerCase()] : []));
  return new Set(names).size === names.length;
}

function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text;
}
