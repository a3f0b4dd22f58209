import { readFileSync } from "node:fs";
import { join } from "node:path";

import { parse } from "yaml";
import { z } from "zod";

import { CallError } from "../../../core/call-error.ts";

/** A function's directory and what Fn's func.yaml in it says to run. */
export interface FunctionFolder {
  readonly path: string;
  /** The entrypoint's words, and then those of `cmd`: at least one. */
  readonly command: readonly [string, ...string[]];
}

const words = z.string().transform((text) => text.split(/\s+/).filter((word) => word !== ""));
const FuncFile = z.object({ entrypoint: words, cmd: words.default([]) });

/**
 * The folder of an image: the last part of the image's name, without tag, digest and the `kiln-example-` of
 * Kiln's own examples, below `functionsDirectory`. So `kiln-example-hello:latest` and `ghcr.io/me/hello@sha256:…`
 * are both `hello`.
 * @throws CallError `image_unknown` naming the file that was looked for
 */
export function readFunctionFolder(functionsDirectory: string, image: string): FunctionFolder {
  const path = join(functionsDirectory, folderName(image));
  const file = join(path, "func.yaml");
  const text = readText(file, image);
  const read = FuncFile.safeParse(parseYaml(text));
  const [program, ...args] = read.success ? [...read.data.entrypoint, ...read.data.cmd] : [];
  if (program === undefined) {
    throw unknown(image, `${file} has no entrypoint, expected one such as "node func.js"`);
  }
  return { path, command: [program, ...args] };
}

function folderName(image: string): string {
  const [repository = ""] = image.split("@");
  const [name = ""] = repository.slice(repository.lastIndexOf("/") + 1).split(":");
  // Nothing else can be the name of an image, and nothing else stays below the functions' directory.
  if (!/^[a-z0-9]+(?:[._-]+[a-z0-9]+)*$/.test(name)) throw unknown(image, "it is not the name of an image");
  return name.replace(/^kiln-example-/, "");
}

function readText(file: string, image: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw unknown(image, `without Docker it has to be a function's directory, and ${file} cannot be read`, cause);
  }
}

function parseYaml(text: string): unknown {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}

function unknown(image: string, why: string, cause?: unknown): CallError {
  return new CallError("image_unknown", `Image ${JSON.stringify(image.slice(0, 200))} not found: ${why}`, { cause });
}
