import { join } from "node:path";
import { performance } from "node:perf_hooks";

import { connectEngine, type Docker, pingEngine } from "../../runner/driver/docker/engine.ts";
import { collectBaseImage, importBaseImage } from "./image/base-image.ts";
import { takeLock } from "./image/build-lock.ts";
import { collectFunctionImage, commitFunctionImage, removeBuildContainer } from "./image/function-image.ts";
import { isBuilt, removeReplaced } from "./image/inspect.ts";

const tags = {
  hello: "kiln-example-hello:latest",
  fdk: "kiln-example-fdk:latest",
  probe: "kiln-example-probe:latest",
} as const;

export type ExampleName = keyof typeof tags;

export const exampleNames: readonly ExampleName[] = ["hello", "fdk", "probe"];

/**
 * Builds the example functions' images, without a registry, a compiler or a builder.
 *
 * An image whose content has not changed is left alone, so tests can call this each time.
 * Only the images asked for are sure to be there afterwards.
 */
export async function buildExampleImages(
  docker: Docker,
  names: readonly ExampleName[] = exampleNames,
  log: (line: string) => void = () => {},
): Promise<Record<ExampleName, string>> {
  const base = await collectBaseImage();
  const images = await Promise.all(
    names.map((name) => collectFunctionImage(join(import.meta.dirname, name), tags[name], base)),
  );
  const missing = async () => {
    const built = await Promise.all(images.map((image) => isBuilt(docker, image)));
    return images.filter((_, index) => built[index] !== true);
  };
  if ((await missing()).length === 0) return tags;

  // Test files run in processes of their own: one builds, the others wait and find the images there.
  await using _lock = await takeLock("kiln-example-images");
  const wanted = await missing();
  if (wanted.length === 0) return tags;
  await Promise.all(Object.values(tags).map((tag) => removeBuildContainer(docker, tag)));
  if (!(await isBuilt(docker, base))) {
    await timed(`${base.tag} imported`, log, () => importBaseImage(docker, base));
  }
  for (const image of wanted) {
    await timed(`${image.tag} built`, log, () => commitFunctionImage(docker, image, base));
  }
  await removeReplaced(docker);
  return tags;
}

async function timed(done: string, log: (line: string) => void, work: () => Promise<void>): Promise<void> {
  const start = performance.now();
  await work();
  log(`${done} in ${Math.round(performance.now() - start)} ms`);
}

function isExampleName(name: string): name is ExampleName {
  return exampleNames.some((known) => known === name);
}

if (import.meta.main) {
  const asked = process.argv.slice(2);
  const unknown = asked.find((name) => !isExampleName(name));
  if (unknown !== undefined) {
    process.stderr.write(`Unknown example "${unknown}": choose from ${exampleNames.join(", ")}\n`);
    process.exit(2);
  }
  const names = asked.length === 0 ? exampleNames : asked.filter(isExampleName);
  const docker = connectEngine({ host: process.env["DOCKER_HOST"] });
  if ((await pingEngine(docker, 5000)) === undefined) {
    process.stderr.write("Cannot reach Docker: is it running, and is DOCKER_HOST right?\n");
    process.exit(1);
  }
  const log = (line: string) => process.stdout.write(`${line}\n`);
  await timed("ready", log, async () => {
    const built = await buildExampleImages(docker, names, log);
    for (const name of names) log(built[name]);
  });
}
