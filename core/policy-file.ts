import { realpath, stat } from "node:fs/promises";
import { extname, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

import { functionLists, type Policies, type PolicyShape } from "./policy-file/exports.ts";
import { explainImport } from "./policy-file/import-failure.ts";
import { explainPackage } from "./policy-file/placement.ts";

export { functions } from "./policy-file/exports.ts";

const ENDINGS = [".ts", ".mts", ".js", ".mjs"];

/** A file that never ends importing, say on an `await` for a server that is down, must not hang the start. */
const IMPORT_TIMEOUT_MS = 30_000;

interface LoadOptions {
  readonly importTimeoutMs?: number;
}

/**
 * Imports an operator's file and checks what it exports: arrays of functions, under the names of the shape,
 * at least one of them. What it does not export is an empty array.
 * @throws Error that says what is wrong with the file, and where
 *
 * @example
 * ```ts
 * const { overriders } = await loadPolicyFile("./my-overriders.ts", { overriders: functions<MiddlewareHandler>() });
 * ```
 */
export async function loadPolicyFile<Shape extends PolicyShape>(
  path: string,
  shape: Shape,
  options: LoadOptions = {},
): Promise<Policies<Shape>> {
  try {
    const file = await find(path);
    const misplaced = await explainPackage(file);
    if (misplaced !== undefined) throw new Error(misplaced);
    return functionLists(await importFile(file, options.importTimeoutMs ?? IMPORT_TIMEOUT_MS), shape);
  } catch (cause) {
    throw new Error(`Cannot load "${path}": ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** The real path: runtimes differ in whether they look for packages beside a symbolic link or behind it. */
async function find(path: string): Promise<string> {
  const file = resolve(path);
  const found = await stat(file).catch((cause: unknown) => {
    if (!isMissing(cause)) throw cause;
    throw new Error(`no such file; looked for "${file}", as the working directory is "${process.cwd()}"`, { cause });
  });
  if (found.isDirectory()) throw new Error(`"${file}" is a directory, expected one file in it`);
  if (!ENDINGS.includes(extname(file))) {
    throw new Error(`"${file}" ends in "${extname(file)}", expected a module that ends in ${ENDINGS.join(", ")}`);
  }
  return realpath(file);
}

async function importFile(file: string, timeoutMs: number): Promise<unknown> {
  const settled = new AbortController();
  // Not `AbortSignal.timeout`: its timer lets Node end, in the middle of an await, without a word.
  const late = sleep(timeoutMs, undefined, { signal: settled.signal }).then(() => {
    throw new Error(`it was still being imported after ${timeoutMs} ms: it awaits something at its top level`);
  });
  const imported: Promise<unknown> = import(pathToFileURL(file).href);
  try {
    return await Promise.race([imported.catch((cause: unknown) => explained(cause, file)), late]);
  } finally {
    settled.abort();
    late.catch(() => {});
  }
}

function explained(cause: unknown, file: string): never {
  throw new Error(explainImport(cause, file), { cause });
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
}
