import type { ZodError } from "zod";

import { CallError } from "../../core/call-error.ts";
import { expectation, shortly, shownPath } from "../issue-text.ts";

/** @throws CallError naming the first field that is missing or wrong, in the order of the schema */
export function refuseInvalid(error: ZodError, body: unknown): never {
  const [issue] = error.issues;
  if (issue === undefined) throw new CallError("invalid_field");
  const value = valueAt(body, issue.path);
  const field = shownPath(issue.path, "the body");
  if (value === undefined) throw new CallError("missing_field", `Missing field: ${field}`);
  throw new CallError("invalid_field", `Invalid field: ${field} is ${shortly(value)}, ${expectation(issue)}`);
}

function valueAt(body: unknown, path: readonly PropertyKey[]): unknown {
  let value = body;
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}
