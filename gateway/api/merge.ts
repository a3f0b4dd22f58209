import { CallError } from "../../core/call-error.ts";
import type { JsonValue } from "../../core/call.ts";
import { isComputedAnnotation } from "../functions/computed-annotations.ts";
import { ANNOTATION_LIMITS } from "../functions/fields.ts";
import { isRemoval } from "./common-schemas.ts";

type Named<T> = Readonly<Record<string, T>>;

/** Fn's merge: what comes goes before what is there, and what comes empty takes its key out. */
export function merged<T>(current: Named<T>, change: Named<unknown> = {}): Named<T> {
  const kept = Object.entries(current).filter(([key]) => !Object.hasOwn(change, key));
  const set = Object.entries(change).filter(([, value]) => !isRemoval(value));
  // The schema has seen every value of a change that removes nothing.
  return Object.fromEntries([...kept, ...set]) as Named<T>;
}

/** The same for annotations; those that answers compute are nobody's to set. @throws CallError over the limit of keys */
export function mergedAnnotations(current: Named<JsonValue>, change: Named<unknown> = {}): Named<JsonValue> {
  const result = merged(current, withoutComputed(change));
  const keys = Object.keys(result).length;
  if (keys > ANNOTATION_LIMITS.keys) {
    throw new CallError(
      "invalid_field",
      `Invalid field: annotations would have ${keys} keys, expected at most ${ANNOTATION_LIMITS.keys}`,
    );
  }
  return result;
}

function withoutComputed<T>(annotations: Named<T>): Named<T> {
  return Object.fromEntries(Object.entries(annotations).filter(([key]) => !isComputedAnnotation(key)));
}
