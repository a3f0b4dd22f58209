import { z } from "zod";

interface Range {
  readonly min: number;
  readonly max: number;
}

export function integer({ min, max }: Range, unit: string) {
  const expected = `expected an integer ${min} to ${max} (${unit})`;
  return z.int(expected).min(min, expected).max(max, expected);
}

/** Seconds in the file, milliseconds from here on; a fraction is allowed. */
export function seconds({ min, max }: Range) {
  const expected = `expected seconds, more than 0 and at most ${max / 1_000}`;
  return z
    .number(expected)
    .min(min / 1_000, expected)
    .max(max / 1_000, expected)
    .transform((value) => Math.round(value * 1_000));
}

/** Cores in the file, thousandths from here on: `"100m"` is a tenth of a core, and so are `"0.1"` and `0.1`. */
export function cores({ min, max }: Range) {
  const expected = `expected cores such as 0.5 or "500m", at most ${max / 1_000}`;
  return z.union([z.string(), z.number()], expected).transform((value, context) => {
    const millis = millisOf(String(value));
    if (millis >= min && millis <= max) return Math.round(millis);
    context.addIssue(expected);
    return z.NEVER;
  });
}

function millisOf(text: string): number {
  if (/^\d+m$/.test(text)) return Number(text.slice(0, -1));
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1_000 : NaN;
}
