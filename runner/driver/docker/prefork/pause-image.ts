import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";

import { pack } from "tar-stream";

import { engineCall, type EngineClient } from "../engine-call.ts";
import { engineInfo } from "../engine-info.ts";
import { inspectImage } from "../images/inspect-image.ts";
import { pauseProgram } from "./pause-program.ts";

const PROGRAM = "pause";
const REPOSITORY = "kiln-prefork-pause";
export const PAUSE_COMMAND: readonly string[] = [`/${PROGRAM}`];

/**
 * Makes sure of an image that holds nothing but a program that sleeps, and returns its name. It is made here, from
 * some bytes of machine code: no registry, builder or compiler is asked. @throws Error on a strange architecture
 */
export async function ensurePauseImage(client: EngineClient): Promise<string> {
  const { Architecture: architecture } = await engineInfo(client);
  const program = pauseProgram(architecture);
  if (program === undefined) {
    throw new Error(
      `There is no pause program for ${architecture}: set FN_EXPERIMENTAL_PREFORK_IMAGE and _CMD to one that sleeps`,
    );
  }
  return await ensureProgramImage(client, program, REPOSITORY);
}

/** Makes sure of an image of one program and nothing else, which it runs, and returns its name. */
export async function ensureProgramImage(client: EngineClient, program: Buffer, repository: string): Promise<string> {
  // Named for its content, so that another version of Kiln makes another image.
  const tag = createHash("sha256").update(program).digest("hex").slice(0, 12);
  const image = `${repository}:${tag}`;
  const found = await inspectImage(client, image, new AbortController().signal);
  if (found === undefined) await importProgram(client, program, { repository, tag });
  return image;
}

async function importProgram(
  client: EngineClient,
  program: Buffer,
  { repository, tag }: { readonly repository: string; readonly tag: string },
): Promise<void> {
  const layer = pack();
  layer.entry({ name: PROGRAM, mode: 0o755, mtime: new Date(0), uid: 0, gid: 0 }, program);
  layer.finalize();
  const options = { repo: repository, tag, changes: [`CMD ${JSON.stringify(PAUSE_COMMAND)}`] };
  const progress = await engineCall(client, "import an image", async (abortSignal) => {
    const file = Readable.from(layer, { objectMode: false });
    return text(await client.docker.importImage(file, { ...options, abortSignal }));
  });
  // The answer began with status 200 long before the import ended, so a failure is a line in its body.
  const failure = progress.split("\n").find((line) => line.includes('"error"'));
  if (failure !== undefined) throw new Error(`Cannot import ${repository}:${tag}: ${failure.trim()}`);
}
