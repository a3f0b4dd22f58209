import type { JsonValue } from "../../core/call.ts";
import { type FunctionSettings, SETTING_NAMES, settingsOf } from "../functions/function-settings.ts";
import { annotationOf } from "../functions/setting-annotations.ts";
import type { Body } from "./read-body.ts";

type Annotations = Readonly<Record<string, JsonValue>>;

/**
 * A function's settings beyond Fn's fields are kept as annotations, which Fn's own client can set too. A field goes
 * before its annotation, unless it says what is in force already: who reads a function, changes an annotation and writes
 * both back means the annotation. Null takes a setting back to its default.
 */
export function settingsAsAnnotations(raw: Body, annotations: Annotations, current?: FunctionSettings): Annotations {
  const before = current === undefined ? {} : settingsOf(current);
  const result = { ...annotations };
  for (const name of SETTING_NAMES) {
    const value = raw[name];
    const key = annotationOf(name);
    if (value === null) delete result[key];
    else if (value !== undefined && value !== before[name]) result[key] = value as JsonValue;
  }
  return result;
}
