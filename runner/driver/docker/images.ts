import { CallError } from "../../../core/call-error.ts";
import type { Clock } from "../../../core/clock.ts";
import { unlessGone } from "./docker-errors.ts";
import { engineCall } from "./engine-call.ts";
import type { Docker } from "./engine.ts";
import { pullImage } from "./pull-image.ts";
import { SharedPulls } from "./shared-pulls.ts";
import { unlessAborted } from "./unless-aborted.ts";

export interface ImageOptions {
  /** Of a whole pull, however many wait for it. Ten minutes. */
  readonly pullTimeoutMs?: number;
  /** VOLUME in an image gives each container a directory on the host's disk, without a quota. False refuses it. */
  readonly allowVolumes?: boolean;
}

/** The daemon's images: looks them up, and pulls what is missing. Disposing it ends all pulls. */
export interface Images extends Disposable {
  /** @throws CallError `image_*`, `docker_unavailable` */
  prepare(image: string, registryToken: string, signal: AbortSignal): Promise<void>;
}

export function createImages(docker: Docker, clock: Clock, options: ImageOptions = {}): Images {
  const { pullTimeoutMs = 600_000, allowVolumes = false } = options;
  const pulls = new SharedPulls(
    (image, token, signal) => pullImage(docker, image, token, signal),
    pullTimeoutMs,
    clock,
  );

  const isUsable = async (image: string, signal: AbortSignal): Promise<boolean> => {
    const volumes = await declaredVolumes(docker, clock, image, signal);
    if (volumes === undefined) return false;
    if (volumes.length === 0 || allowVolumes) return true;
    throw new CallError("image_has_volume", `image has Volume definition: '${image}' declares ${volumes.join(", ")}`);
  };

  return {
    async prepare(image, registryToken, signal) {
      if (await isUsable(image, signal)) return;
      await pulls.wait(image, registryToken, signal);
      if (await isUsable(image, signal)) return;
      throw new CallError("image_pull_failed", `Failed to pull image '${image}': it was pulled and is not there`);
    },
    [Symbol.dispose]: () => pulls.end(),
  };
}

/** The paths of an image's VOLUMEs, or undefined for an image that is not there. */
async function declaredVolumes(
  docker: Docker,
  clock: Clock,
  image: string,
  signal: AbortSignal,
): Promise<readonly string[] | undefined> {
  // Dockerode cannot abort this request.
  const inspect = () => docker.getImage(image).inspect().catch(unlessGone);
  const asked = engineCall(clock, "inspect the image", (timeout) => unlessAborted(inspect(), timeout));
  const info = await unlessAborted(asked, signal);
  return info === undefined ? undefined : Object.keys(info.Config?.Volumes ?? {});
}
