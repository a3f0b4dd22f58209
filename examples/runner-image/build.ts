import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";

import type { Docker } from "../../runner/driver/docker/engine.ts";
import { type BaseImage, collectBaseImage, importBaseImage } from "../functions/image/base-image.ts";
import { takeLock } from "../functions/image/build-lock.ts";
import { dependencies, readFolder } from "../functions/image/function-image.ts";
import { isBuilt, removeReplaced } from "../functions/image/inspect.ts";
import { hashLayer, type LayerEntry } from "../functions/image/layer.ts";

const ROOT = resolve(import.meta.dirname, "../..");
/** Where the project lies in the image. */
const PLACE = "kiln";
const TREE = ["core", "gen", "runner"];

const tag = "kiln-runner:latest";
const settings = [
  "ENV PATH=/usr/local/bin:/usr/bin:/bin",
  `WORKDIR /${PLACE}`,
  'ENTRYPOINT ["node", "runner/main.ts"]',
  "EXPOSE 9190",
] as const;

/** Builds the image of a runner from this machine's Node and this tree, and returns its tag. Left alone if unchanged. */
export async function buildRunnerImage(docker: Docker): Promise<string> {
  const image = await collectRunnerImage();
  await using _lock = await takeLock("kiln-runner-image");
  if (await isBuilt(docker, image)) return tag;
  await importBaseImage(docker, image);
  await removeReplaced(docker);
  return tag;
}

async function collectRunnerImage(): Promise<BaseImage> {
  const [base, packages, ...folders] = await Promise.all([
    collectBaseImage(),
    dependencies(ROOT),
    ...TREE.map((folder) => readFolder(join(ROOT, folder), folder)),
  ]);
  const manifest: LayerEntry = {
    kind: "file",
    path: "package.json",
    mode: 0o644,
    bytes: await readFile(join(ROOT, "package.json")),
  };
  const project = [manifest, ...packages, ...folders.flat()];
  const entries = [...base.entries, ...project.map((entry) => ({ ...entry, path: `${PLACE}/${entry.path}` }))];
  return { tag, hash: hashLayer(entries, settings), entries, settings };
}
