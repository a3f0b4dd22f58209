import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";

import { clone, entryPoints, placementRule } from "./placement.ts";

/** A failed import as one text to look through: each runtime puts the facts into another part of the error. */
interface Failure {
  /** Code and message. */
  readonly text: string;
  readonly message: string;
  /** ` at /path/of/file.ts:3` or ` in /path/of/file.ts`; empty where the runtime says neither. */
  readonly at: string;
}

type Explanation = readonly [pattern: RegExp, explain: (found: readonly string[], failure: Failure) => string];

/** The first whose pattern is found explains. The wordings are those of Node 24, tsx 4.23 and Deno 2.9. */
const EXPLANATIONS: readonly Explanation[] = [
  [/Cannot find (?:package|module) '(kiln\b[^']*)'|(?:Import|resolve) "(kiln\b[^"]*)"/, explainNoKiln],
  [/ERR_PACKAGE_PATH_NOT_EXPORTED.*?(?:subpath '([^']+)'|main)/s, explainSubpath],
  [/Cannot find (?:package|module) '([^/.'][^']*)'|(?:Import|resolve) "([^/."][^"]*)"/, explainNoPackage],
  [/Cannot find module '([^']+)'|Module not found "([^"]+)"/, explainNoFile],
  [/ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX (?:TypeScript )?(.*?) (?:is|are) not supported/s, explainSyntaxToStrip],
  [/ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING.* for "([^"]+)"/s, explainNodeModules],
  [/module '([^']+)' does not provide an export named '([^']+)'/, explainNoExport],
  [/\b(module|exports|require) is not defined\b/, explainCommonJs],
  [/(?:Transform failed with .*? ERROR: |SyntaxError:? |ERR_INVALID_TYPESCRIPT_SYNTAX )([^\n]+)/s, explainSyntax],
];

/** Why importing `file` failed, in one sentence. */
export function explainImport(error: unknown, file: string): string {
  const failure = describe(error, file);
  for (const [pattern, explain] of EXPLANATIONS) {
    const found = pattern.exec(failure.text);
    if (found !== null)
      return explain(
        found.slice(1).filter((group) => group !== undefined),
        failure,
      );
  }
  return `it throws when imported: ${failure.message}${failure.at}`;
}

function describe(error: unknown, file: string): Failure {
  if (!(error instanceof Error)) return { text: "", message: String(error), at: "" };
  const message = stripVTControlCharacters(error.message);
  const places = operatorsFrames(error);
  const kind = "code" in error ? String(error.code) : "";
  // A SyntaxError from running code is a file's own doing, for instance by JSON.parse.
  const name = error instanceof SyntaxError && kind === "" && !places.some(({ inCode }) => inCode) ? "SyntaxError" : "";
  const place = places.find(({ path }) => path === file) ?? places[0];
  const importer = / imported from '?([^'\n]+)/.exec(message)?.[1];
  const at = place !== undefined ? ` at ${place.path}:${place.line}` : importer !== undefined ? ` in ${importer}` : "";
  return { text: `${kind}${name} ${message}`, message, at };
}

interface Frame {
  readonly path: string;
  readonly line: string;
  /** Runs there, rather than is being read there. */
  readonly inCode: boolean;
}

/** The places an error names, but for those in packages and in the loader itself. */
function operatorsFrames(error: Error): readonly Frame[] {
  const text = stripVTControlCharacters(`${error.message}\n${error.stack ?? ""}`);
  const places = text.matchAll(/^(?:.*?\bat )?(?:.*?\()?(?:async )?((?:file:\/)?\/[^\n:()]*\.[cm]?[jt]s):(\d+)/gm);
  const frames = [...places].map(([whole, path = "", line = ""]) => ({
    path: path.startsWith("file:") ? fileURLToPath(path) : path,
    line,
    inCode: whole.trimStart().startsWith("at "),
  }));
  return frames.filter(({ path }) => !/\/node_modules\/|\/core\/policy-file/.test(path));
}

function explainNoKiln([specifier = "kiln"]: readonly string[], { at }: Failure): string {
  return `it imports "${specifier}"${at}, which cannot be found from there: ${placementRule()}`;
}

function explainSubpath([subpath = "."]: readonly string[], { text, message, at }: Failure): string {
  if (!/\/kiln\/package\.json/.test(text) && !text.includes(join(clone, "package.json")))
    return `it cannot be imported: ${message}`;
  return `it imports "${join("kiln", subpath)}"${at}, expected one of ${entryPoints().join(", ")}`;
}

function explainNoPackage([name = ""]: readonly string[], { at }: Failure): string {
  return `it imports "${name}"${at}, which is not installed: run npm install ${packageName(name)} in its folder`;
}

function explainNoFile([missing = ""]: readonly string[], { at }: Failure): string {
  const path = missing.startsWith("file:") ? fileURLToPath(missing) : missing;
  const meant = [`${path}.ts`, path.replace(/\.([cm]?)js$/, ".$1ts")].find(
    (other) => other !== path && existsSync(other),
  );
  return `it imports "${path}"${at}, which does not exist${meant === undefined ? "" : `: write the ending of "${meant}"`}`;
}

function explainSyntaxToStrip([syntax = ""]: readonly string[], { at }: Failure): string {
  return (
    `it has a TypeScript ${syntax}${at}, and Node only strips types: write erasable TypeScript ` +
    `(an object "as const" for an enum, a module for a namespace, an assignment for a parameter property), ` +
    `or start through tsx: node --import tsx`
  );
}

function explainNodeModules([url = ""]: readonly string[]): string {
  return `"${fileURLToPath(url)}" is TypeScript below node_modules, where Node strips no types: move it out, or start through tsx: node --import tsx`;
}

function explainNoExport([from = "", name = ""]: readonly string[], { at }: Failure): string {
  return `it imports "${name}" from "${from}"${at}, which exports no such value; if it is a type, write import type { ${name} }`;
}

function explainCommonJs([name = ""]: readonly string[], { at }: Failure): string {
  return `it uses CommonJS's "${name}"${at}: write import and export`;
}

function explainSyntax([message = ""]: readonly string[], { at }: Failure): string {
  return `it has a syntax error${at}: ${message}`;
}

function packageName(specifier: string): string {
  return specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}
