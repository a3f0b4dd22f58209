import { parseYaml } from "../yaml-file.ts";
import { declaredFunctions, fieldsAt, functionsSchema } from "./functions-schema.ts";
import type { FoundFunction } from "./functions.ts";

/**
 * Reads a functions file.
 * @throws Error with one line per fault: file, line, path, what is there and what was expected
 */
export function parseFunctions(text: string, file: string): FoundFunction[] {
  return declaredFunctions(parseYaml(text, file, functionsSchema, fieldsAt));
}
