import { watch } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, dirname } from "node:path";

import { isMap, isPair, LineCounter, parseDocument, type Document } from "yaml";
import type { z } from "zod";

import type { Clock } from "../../../core/clock.ts";
import type { Log } from "../../../core/log.ts";
import { guardPermits, type GuardPermits } from "./guard-permits.ts";
import { listableFields } from "./guard-table.ts";
import { createGuard, type Guard } from "./guard.ts";

/** A guard with an operator's allow-list. @throws Error naming the file and the line at fault */
export async function loadGuard(path: string): Promise<Guard> {
  const permits = await readPermits(path);
  return createGuard(() => permits);
}

export interface WatchedGuard extends Guard, Disposable {}

/** Editors write a file in several steps. */
const SETTLE_MS = 100;

/**
 * A guard whose allow-list follows its file. A file that is broken or gone leaves in force what was, and is logged.
 * @throws Error as `loadGuard` does, for the file as it is at first
 */
export async function watchGuard(path: string, log: Log, clock: Clock): Promise<WatchedGuard> {
  let permits = await readPermits(path);
  let cancel = () => {};
  const reload = async () => {
    try {
      permits = await readPermits(path);
      log.info("Guard file reloaded", { path });
    } catch (error) {
      log.error("Guard file is not used: what was allowed before stays in force", { path, error });
    }
  };
  // The directory, since editors and config maps replace the file rather than write it.
  const watcher = watch(dirname(path), { persistent: false }, (_event, changed) => {
    if (changed !== null && changed !== basename(path)) return;
    cancel();
    cancel = clock.after(SETTLE_MS, () => void reload());
  });
  watcher.on("error", (error) => log.error("Guard file is not watched any more", { path, error }));
  return {
    ...createGuard(() => permits),
    [Symbol.dispose]() {
      cancel();
      watcher.close();
    },
  };
}

async function readPermits(path: string): Promise<GuardPermits> {
  const source = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new Error(`Cannot read guard file "${path}"`, { cause });
  });
  return parsePermits(source, path);
}

/** @throws Error naming the file and the line at fault */
export function parsePermits(source: string, path: string): GuardPermits {
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines });
  const fail = (line: number, text: string) => new Error(`Cannot use guard file "${path}": line ${line}: ${text}`);

  const broken = document.errors[0];
  if (broken !== undefined) throw fail(broken.linePos?.[0].line ?? 1, broken.message.split("\n")[0] ?? broken.code);
  const lineOf = (at: readonly PropertyKey[]) => lines.linePos(offsetOf(document, at)).line;

  const read = guardPermits.safeParse(document.toJS() ?? {});
  if (!read.success) {
    const [issue] = read.error.issues;
    throw issue === undefined
      ? read.error
      : fail(lineOf(placeOf(issue)), `${issue.path.join(".") || "file"}: ${issue.message}`);
  }
  const known = listableFields();
  const unknown = read.data.fields.findIndex((field) => !known.includes(field));
  if (unknown >= 0) {
    const text = `fields: "${read.data.fields[unknown]}" cannot be allowed whole, expected one of ${known.join(", ")}`;
    throw fail(lineOf(["fields", unknown]), text);
  }
  return read.data;
}

/** Zod names the object that holds an unknown key; the line is the key's. */
function placeOf(issue: z.core.$ZodIssue): readonly PropertyKey[] {
  return issue.code === "unrecognized_keys" ? [...issue.path, issue.keys[0] ?? ""] : issue.path;
}

/** Where a place in the file begins: its key, or as near to it as the file goes. */
function offsetOf(document: Document, at: readonly PropertyKey[]): number {
  for (let depth = at.length; depth > 0; depth -= 1) {
    const key = at[depth - 1];
    const holder: unknown = depth === 1 ? document.contents : document.getIn(at.slice(0, depth - 1), true);
    const pair = isMap(holder)
      ? holder.items.find((item) => isPair(item) && String(item.key) === String(key))
      : undefined;
    const node: unknown = pair?.key ?? document.getIn(at.slice(0, depth), true);
    if (hasRange(node)) return node.range[0];
  }
  return 0;
}

function hasRange(node: unknown): node is { range: [number, number, number] } {
  return typeof node === "object" && node !== null && "range" in node && Array.isArray(node.range);
}
