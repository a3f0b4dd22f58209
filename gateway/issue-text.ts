import type { z } from "zod";

type Path = readonly PropertyKey[];

/** What a schema wanted, in words that begin with "expected". */
export function expectation(issue: z.core.$ZodIssue): string {
  const text = issue.code === "invalid_key" ? (issue.issues[0]?.message ?? issue.message) : issue.message;
  return text.replace(/^Invalid input: /, "").replace(/, received .*$/, "");
}

/** `apps[0].fns[1].memory`; of nothing, what it is all in. */
export function shownPath(path: Path, whole: string): string {
  if (path.length === 0) return whole;
  return path.map((key, i) => (typeof key === "number" ? `[${key}]` : `${i === 0 ? "" : "."}${String(key)}`)).join("");
}

/** A value for a message, cut where it is long. */
export function shortly(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}
