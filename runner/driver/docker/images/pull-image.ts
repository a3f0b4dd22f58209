import { pullError } from "../docker-errors.ts";
import type { Docker } from "../engine.ts";
import { splitLines } from "../output.ts";
import { abortReason } from "../unless-aborted.ts";
import type { RegistryCredentials } from "./registry-auths.ts";

/** Has the daemon pull an image. @throws CallError `image_pull_failed`, `docker_unavailable`, or the signal's reason */
export async function pullImage(
  docker: Docker,
  image: string,
  credentials: RegistryCredentials | undefined,
  signal: AbortSignal,
): Promise<void> {
  try {
    const progress = await docker.pull(image, { authconfig: credentials, abortSignal: signal });
    await readProgress(progress);
  } catch (error) {
    throw signal.aborted ? abortReason(signal) : pullError(error, `Failed to pull image '${image}'`);
  }
}

/**
 * Reads what the Engine tells of long work to its end. It tells of a failure in the middle of it as a last line.
 * @param onText - takes the lines that are text
 */
export async function readProgress(
  progress: NodeJS.ReadableStream,
  onText: (text: string) => void = () => {},
): Promise<void> {
  let failure: string | undefined;
  const lines = splitLines((line) => {
    const { error, stream } = fieldsOf(line);
    if (error !== undefined) failure = typeof error === "string" ? error : JSON.stringify(error);
    if (typeof stream === "string") onText(stream.trim());
  });
  for await (const chunk of progress) lines.push(Buffer.from(chunk));
  lines.end();
  if (failure !== undefined) throw new Error(failure);
}

function fieldsOf(line: string): { readonly error?: unknown; readonly stream?: unknown } {
  try {
    const progress: unknown = JSON.parse(line);
    return typeof progress === "object" && progress !== null ? progress : {};
  } catch {
    // A line too long to be kept in one piece: no news that matters.
    return {};
  }
}
