import { createReadStream } from "node:fs";

import { engineFailure } from "../docker-errors.ts";
import type { Docker } from "../engine.ts";
import { readProgress } from "./pull-image.ts";

/** Images that came out of a file. */
export interface LoadedImages {
  readonly ids: ReadonlySet<string>;
  readonly names: readonly string[];
}

const LOADED = /^Loaded image(?: ID)?: (\S+)$/;

/** Loads what `docker save` wrote. @throws Error with a sentence that names the file */
export async function loadImages(docker: Docker, file: string): Promise<LoadedImages> {
  const names: string[] = [];
  try {
    const progress = await docker.loadImage(await opened(file), { quiet: true });
    await readProgress(progress, (text) => {
      const [, name] = LOADED.exec(text) ?? [];
      if (name !== undefined) names.push(name);
    });
    if (names.length === 0) throw new Error("Docker found no image in it, expected what docker save writes");
    const ids = await Promise.all(names.map(async (name) => (await docker.getImage(name).inspect()).Id));
    return { ids: new Set(ids), names };
  } catch (cause) {
    const { message } = engineFailure(cause);
    throw new Error(`Cannot load images from "${file}" (FN_DOCKER_LOAD_FILE): ${message}`, { cause });
  }
}

function opened(file: string): Promise<NodeJS.ReadableStream> {
  return new Promise((resolve, reject) => {
    const stream = createReadStream(file);
    stream.once("error", reject).once("open", () => resolve(stream.off("error", reject)));
  });
}
