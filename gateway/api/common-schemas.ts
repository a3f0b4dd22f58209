import { z } from "zod";

import { ANNOTATION_LIMITS, annotationExpected, annotationKey, configKey, isAnnotation } from "../functions/fields.ts";

const configValue = z.string("expected a string").regex(/^[^\0]*$/, "expected a string without NUL");

export const config = z.record(configKey, configValue).describe("Environment of its containers");

/** As it is merged into what is there: an empty value, or null, takes the key out. */
export const configChange = z
  .record(configKey, configValue.nullable())
  .nullable()
  .describe("Merged into what is there; an empty value or null takes a key out");

export const annotations = z
  .record(annotationKey, z.unknown().refine(isAnnotation, annotationExpected))
  .refine((all) => Object.keys(all).length <= ANNOTATION_LIMITS.keys, `expected at most ${ANNOTATION_LIMITS.keys} keys`)
  .describe("Any JSON by key, kept and shown");

export const annotationsChange = z
  .record(
    annotationKey,
    z.unknown().refine((value) => isRemoval(value) || isAnnotation(value), annotationExpected),
  )
  .nullable()
  .describe("Merged into what is there; an empty string or null takes a key out");

export function isRemoval(value: unknown): boolean {
  return value === null || value === "";
}

const timestamp = z.iso.datetime().describe("UTC");

/** What every entity says of itself. */
export const stamps = { created_at: timestamp, updated_at: timestamp };

export const SHAPES = ["GENERIC_X86", "GENERIC_ARM", "GENERIC_X86_ARM"] as const;

export const errorSchema = z.object({
  message: z.string().describe("What was wrong, and what was expected"),
  code: z.string(),
  component: z.enum(["client", "function", "gateway", "runner", "operator"]).describe("Who is at fault"),
  retryable: z.boolean(),
  callId: z.string(),
});

export const pageQuery = {
  cursor: z.string().optional().describe("`next_cursor` of the page before"),
  per_page: z.string().optional().describe("1 to 100; 30 if it is anything else"),
  name: z.string().optional().describe("Only what has exactly this name"),
};
