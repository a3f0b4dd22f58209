import assert from "node:assert/strict";

import { z } from "zod";

import type { FunctionAnswer } from "./call-function.ts";

/** The part of the probe's report that tests look at; examples/functions/probe/README.md has all of it. */
const ProbeReport = z.looseObject({
  /** Its environment. */
  config: z.record(z.string(), z.string()),
  data: z.record(z.string(), z.string()),
  probe: z.looseObject({ instance: z.string(), pid: z.number(), served: z.number() }),
  facts: z
    .looseObject({
      identity: z.looseObject({ uid: z.number(), gid: z.number() }).optional(),
      status: z.record(z.string(), z.string()).optional(),
    })
    .optional(),
});

export type ProbeReport = z.infer<typeof ProbeReport>;

/** Reads the probe's answer. @throws AssertionError with the answer, if it is another */
export function probeReport({ status, body }: FunctionAnswer): ProbeReport {
  assert.equal(status, 200, body);
  return ProbeReport.parse(JSON.parse(body));
}
