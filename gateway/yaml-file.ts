import { isMap, isNode, isPair, isScalar, LineCounter, parseDocument, type Document } from "yaml";
import type { z } from "zod";

import { nearestName } from "../core/nearest-name.ts";
import { expectation, shortly, shownPath } from "./issue-text.ts";

type Path = readonly PropertyKey[];
/** The fields that may stand at a path: for who misspelled one. */
type FieldsAt = (path: Path) => readonly string[];

/**
 * Reads a YAML file by its schema.
 * @throws Error with one line per fault: file, line, path, what is there and what was expected
 */
export function parseYaml<T>(text: string, file: string, schema: z.ZodType<T>, fieldsAt: FieldsAt): T {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number | undefined) => `${file}:${offset === undefined ? 1 : lines.linePos(offset).line}`;
  const broken = document.errors.map((error) => `${at(error.pos[0])}: ${error.message}`);
  if (broken.length > 0) throw new Error(broken.join("\n"));

  const read = schema.safeParse(document.toJS(), { reportInput: true });
  if (read.success) return read.data;
  throw new Error(read.error.issues.flatMap((issue) => faults(issue, document, at, fieldsAt)).join("\n"));
}

function faults(
  issue: z.core.$ZodIssue,
  document: Document,
  at: (offset: number | undefined) => string,
  fieldsAt: FieldsAt,
): string[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => {
      const place = at(keyOffset(document, issue.path, key));
      const meant = nearestName(key, fieldsAt(issue.path), 3);
      const hint =
        meant === undefined ? `expected one of ${fieldsAt(issue.path).join(", ")}` : `did you mean "${meant}"`;
      return `${place}: ${shownPath([...issue.path, key], "the file")} is not a field, ${hint}`;
    });
  }
  const value = issue.input === undefined ? "missing" : shortly(issue.input);
  return [
    `${at(offset(document, issue.path))}: ${shownPath(issue.path, "the file")} is ${value}, ${expectation(issue)}`,
  ];
}

/** Where the value at a path starts, or the nearest one around it. */
function offset(document: Document, path: Path): number | undefined {
  for (let depth = path.length; depth >= 0; depth--) {
    const node: unknown = document.getIn(path.slice(0, depth), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return undefined;
}

function keyOffset(document: Document, path: Path, key: string): number | undefined {
  const node: unknown = path.length === 0 ? document.contents : document.getIn(path, true);
  const pair = isMap(node)
    ? node.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === key)
    : undefined;
  return (isScalar(pair?.key) ? pair.key.range?.[0] : undefined) ?? offset(document, path);
}
