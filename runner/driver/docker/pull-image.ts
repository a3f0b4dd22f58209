import { pullError } from "./docker-errors.ts";
import type { Docker } from "./engine.ts";
import { splitLines } from "./output.ts";
import { abortReason } from "./unless-aborted.ts";

/** Has the daemon pull an image. @throws CallError `image_pull_failed`, or the signal's reason */
export async function pullImage(
  docker: Docker,
  image: string,
  registryToken: string,
  signal: AbortSignal,
): Promise<void> {
  const credentials = registryToken === "" ? {} : { authconfig: { registrytoken: registryToken } };
  try {
    const progress = await docker.pull(image, { ...credentials, abortSignal: signal });
    await readProgress(progress);
  } catch (error) {
    throw signal.aborted ? abortReason(signal) : pullError(error, image);
  }
}

/** Reads a pull to its end. The daemon tells of a failure in the middle of one as a last line of progress. */
async function readProgress(progress: NodeJS.ReadableStream): Promise<void> {
  let failure: string | undefined;
  const lines = splitLines((line) => {
    failure = failureIn(line) ?? failure;
  });
  for await (const chunk of progress) lines.push(Buffer.from(chunk));
  lines.end();
  if (failure !== undefined) throw new Error(failure);
}

function failureIn(line: string): string | undefined {
  try {
    const progress: unknown = JSON.parse(line);
    if (typeof progress !== "object" || progress === null || !("error" in progress)) return undefined;
    return String(progress.error);
  } catch {
    // A line too long to be kept in one piece: no news that matters.
    return undefined;
  }
}
