import { z } from "zod";

import { CallError } from "../../../core/call-error.ts";

/** What a function's process is started from. */
export interface ProcessOptions {
  command: string;
  args: string[];
  cwd: string;
  /** All of its environment: nothing of the runner's own is added. */
  env: Record<string, string>;
}

// The kernel ends every one of these at the first zero byte.
const text = z.string().refine((value) => !value.includes("\0"), "expected a string without zero bytes");
const Options = z.strictObject({
  command: text.min(1),
  args: z.array(text),
  cwd: text.min(1),
  env: z.record(text.regex(/^[^=]+$/, "expected a name without ="), text),
}) satisfies z.ZodType<ProcessOptions>;

/**
 * A copy of what the hooks made of the options, which no hook can change any more.
 * @throws CallError `guard_refused` naming the field
 */
export function checkOptions(options: ProcessOptions): ProcessOptions {
  const checked = Options.safeParse(options);
  if (checked.success) return checked.data;
  throw new CallError("guard_refused", `Process options refused: ${z.prettifyError(checked.error)}`);
}
