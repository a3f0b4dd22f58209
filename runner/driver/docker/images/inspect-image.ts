import type { Clock } from "../../../../core/clock.ts";
import { unlessGone } from "../docker-errors.ts";
import { engineCall } from "../engine-call.ts";
import type { Docker } from "../engine.ts";
import { unlessAborted } from "../unless-aborted.ts";
import type { ImageDescription } from "./image-origin.ts";

/** Undefined for an image that is not there. @throws CallError */
export async function inspectImage(
  docker: Docker,
  clock: Clock,
  image: string,
  signal: AbortSignal,
): Promise<ImageDescription | undefined> {
  // Dockerode cannot abort this request.
  const look = () => docker.getImage(image).inspect().catch(unlessGone);
  const asked = engineCall(clock, "inspect the image", (timeout) => unlessAborted(look(), timeout));
  return unlessAborted(asked, signal);
}
