import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";

import { z } from "zod";

import type { Docker } from "../../../runner/driver/docker/engine.ts";
import type { BaseImage } from "./base-image.ts";
import { readFuncFile } from "./func-file.ts";
import { hashLabel, unless } from "./inspect.ts";
import { hashLayer, type LayerEntry, tarLayer } from "./layer.ts";

/** One function, ready to be laid on the base image. */
export interface FunctionImage {
  readonly tag: string;
  readonly hash: string;
  readonly entrypoint: readonly string[];
  readonly entries: readonly LayerEntry[];
}

const Manifest = z.object({ dependencies: z.record(z.string(), z.string()).default({}) });

/** Collects the function in `folder`: its own files, and the packages it depends on from our node_modules. */
export async function collectFunctionImage(folder: string, tag: string, base: BaseImage): Promise<FunctionImage> {
  const { entrypoint } = await readFuncFile(folder);
  const own = await readFolder(folder, "");
  const entries = [...own, ...(await dependencies(folder))];
  const hash = hashLayer(entries, base.hash, entrypoint);
  return { tag, hash, entrypoint, entries };
}

/** Commits a container that never ran: unlike a build, every Engine since 20.10 can do that alone. */
export async function commitFunctionImage(docker: Docker, image: FunctionImage, base: BaseImage): Promise<void> {
  const container = await docker.createContainer({
    name: buildContainerName(image.tag),
    Image: base.tag,
    // The image takes its settings over from the container.
    Entrypoint: [...image.entrypoint],
    WorkingDir: "/function",
    User: "1000:1000",
    Labels: { [hashLabel]: image.hash },
  });
  const layer = tarLayer(image.entries);
  try {
    await container.putArchive(layer, { path: "/function" });
    const [repo, tag] = image.tag.split(":");
    await container.commit({ repo, tag });
  } finally {
    layer.destroy();
    await removeBuildContainer(docker, image.tag);
  }
}

/** Removes the container an image is made from, if a killed build left it behind. */
export async function removeBuildContainer(docker: Docker, imageTag: string): Promise<void> {
  const container = docker.getContainer(buildContainerName(imageTag));
  await container.remove({ force: true, v: true }).catch(unless(404));
}

/** One fixed name for each image, so that a leftover is found. A label would be inherited by functions that run. */
function buildContainerName(imageTag: string): string {
  return `${imageTag.split(":")[0]}-build`;
}

/** Every package that the one in `folder` needs, at the same place below node_modules as npm put it. */
export async function dependencies(folder: string, seen = new Set<string>()): Promise<LayerEntry[]> {
  const manifest: unknown = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  const entries: LayerEntry[] = [];
  for (const name of Object.keys(Manifest.parse(manifest).dependencies)) {
    const found = findPackage(name, folder);
    if (seen.has(found)) continue;
    seen.add(found);
    const place = found.slice(found.indexOf("node_modules"));
    entries.push(...(await readFolder(found, place)), ...(await dependencies(found, seen)));
  }
  return entries;
}

function findPackage(name: string, from: string): string {
  const candidate = join(from, "node_modules", name);
  if (existsSync(candidate)) return candidate;
  if (dirname(from) === from) throw new Error(`Cannot find package "${name}": run npm ci`);
  return findPackage(name, dirname(from));
}

/** All files of a folder, to lie at `place`. */
export async function readFolder(folder: string, place: string): Promise<LayerEntry[]> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  const sources = found
    // What is nested in a package's node_modules comes by way of its dependencies, if it is needed.
    .filter((entry) => entry.isFile() && !relative(folder, entry.parentPath).startsWith("node_modules"))
    // Documentation is for people: a better sentence must not rebuild an image.
    .filter((entry) => !entry.name.endsWith(".md"))
    .map((entry) => join(entry.parentPath, entry.name));
  return Promise.all(sources.map((source) => readEntry(source, join(place, relative(folder, source)))));
}

async function readEntry(source: string, path: string): Promise<LayerEntry> {
  return { kind: "file", path, mode: 0o644, bytes: await readFile(source) };
}
