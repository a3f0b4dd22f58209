import type { z } from "zod";

import { CallError } from "../../core/call-error.ts";
import type { JsonValue } from "../../core/call.ts";
import { nearestName } from "../../core/nearest-name.ts";

/** What is wrong, and where: a path below the entity. */
export interface SettingFault {
  readonly path: readonly string[];
  readonly value: unknown;
  readonly message: string;
}

const PREFIX = "kiln/";

/** Annotations of this kind are Kiln's own: they are settings, and containers do not see them. */
export function isSettingAnnotation(key: string): boolean {
  return key.startsWith(PREFIX);
}

/** The annotation that says the same as a field. */
export function annotationOf(name: string): string {
  return PREFIX + name.replaceAll("_", "-");
}

/** Reads settings from annotations, with a fault for each that is none of `fields` or not what its field takes. */
export function readAnnotated<Fields extends z.ZodObject>(
  fields: Fields,
  annotations: Readonly<Record<string, JsonValue>>,
): { readonly values: z.output<Fields> | undefined; readonly faults: readonly SettingFault[] } {
  const names = Object.keys(fields.shape);
  const faults: SettingFault[] = [];
  const annotated: Record<string, JsonValue> = {};
  for (const [key, value] of Object.entries(annotations)) {
    if (!isSettingAnnotation(key)) continue;
    const name = names.find((one) => annotationOf(one) === key);
    if (name !== undefined) annotated[name] = plain(value);
    else faults.push({ path: ["annotations", key], value, message: `expected ${meant(key, names)}` });
  }
  const read = fields.safeParse(annotated, { reportInput: true });
  for (const { path, input, message } of read.error?.issues ?? []) {
    const [name, ...rest] = path.map(String);
    faults.push({ path: ["annotations", annotationOf(name ?? ""), ...rest], value: input, message });
  }
  return { values: read.data, faults };
}

/** @throws CallError `invalid_field` naming the first of them, its value and what was expected */
export function refuseFaults([fault]: readonly SettingFault[]): void {
  if (fault === undefined) return;
  const name = fault.path.join(" ");
  throw new CallError("invalid_field", `Invalid field: ${name} is ${JSON.stringify(fault.value)}, ${fault.message}`);
}

function meant(key: string, names: readonly string[]): string {
  const known = names.map(annotationOf);
  return nearestName(key, known, 3) ?? `one of ${known.join(", ")}`;
}

/** Fn's own client sends some numbers and truth values as text. */
function plain(value: JsonValue): JsonValue {
  return typeof value === "string" && /^(\d+|true|false)$/.test(value) ? (JSON.parse(value) as JsonValue) : value;
}
