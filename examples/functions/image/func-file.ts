import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { parse } from "yaml";
import { z } from "zod";

/** The part of Fn's func.yaml that an image needs; the rest is for whoever deploys the function. */
const FuncFile = z.object({
  schema_version: z.literal(20180708),
  runtime: z.literal("node"),
  // Fn splits it at blanks too: there is no shell in the image that could do more.
  entrypoint: z
    .string()
    .trim()
    .min(1)
    .transform((words) => words.split(/\s+/)),
});

export type FuncFile = z.infer<typeof FuncFile>;

export async function readFuncFile(folder: string): Promise<FuncFile> {
  const path = join(folder, "func.yaml");
  const read = FuncFile.safeParse(parse(await readFile(path, "utf8")));
  if (read.success) return read.data;
  throw new TypeError(`Cannot read ${path}: ${z.prettifyError(read.error)}`);
}
