import { unlessGone } from "../docker-errors.ts";
import { engineCall, type EngineClient } from "../engine-call.ts";
import { unlessAborted } from "../unless-aborted.ts";
import type { ImageDescription } from "./image-origin.ts";

/** Undefined for an image that is not there. @throws CallError */
export async function inspectImage(
  client: EngineClient,
  image: string,
  signal: AbortSignal,
): Promise<ImageDescription | undefined> {
  // Dockerode cannot abort this request.
  const look = () => client.docker.getImage(image).inspect().catch(unlessGone);
  const asked = engineCall(client, "inspect the image", (timeout) => unlessAborted(look(), timeout));
  return unlessAborted(asked, signal);
}
