import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, extname, join } from "node:path";

import { isObject } from "./exports.ts";

/** Where this Kiln lies. */
export const clone: string = dirname(dirname(import.meta.dirname));

/** Where a file has to lie so that every runtime takes it for an ES module and finds Kiln from it. */
export function placementRule(): string {
  return (
    `put it in "${join(clone, "policies")}", or in a folder of its own whose package.json says ` +
    `"type": "module" and "dependencies": { "kiln": "file:${clone}" }, and run npm install there`
  );
}

/** What files may import Kiln as, from the exports of its package. */
export function entryPoints(): readonly string[] {
  const manifest: unknown = JSON.parse(readFileSync(join(clone, "package.json"), "utf8"));
  const exported = isObject(manifest) && isObject(manifest["exports"]) ? manifest["exports"] : {};
  return Object.keys(exported).map((path) => path.replace(/^\./, "kiln"));
}

/**
 * Why the file is no ES module, or undefined if it is one. Without `"type": "module"` Node and Deno look
 * into the file to find out, and tsx makes CommonJS of it, with a second copy of Kiln's modules.
 */
export async function explainPackage(file: string): Promise<string | undefined> {
  if (extname(file).startsWith(".m")) return undefined;
  const found = await nearestManifest(dirname(file));
  if (found === undefined) return `"${file}" lies in no package: ${placementRule()}`;
  const { path, manifest } = found;
  if (!isObject(manifest)) return `"${path}" is no JSON object, so that the file belongs to no package`;
  const type = manifest["type"];
  if (type === "module") return undefined;
  const says = type === undefined ? `has no "type"` : `says "type": ${JSON.stringify(type)}`;
  return `"${path}" ${says}, expected "type": "module"; set it there, or ${placementRule()}`;
}

async function nearestManifest(directory: string): Promise<{ path: string; manifest: unknown } | undefined> {
  const path = join(directory, "package.json");
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text !== undefined) return { path, manifest: parse(text) };
  return dirname(directory) === directory ? undefined : nearestManifest(dirname(directory));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
