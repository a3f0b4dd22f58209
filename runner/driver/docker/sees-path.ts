import { engineFailure } from "./docker-errors.ts";
import type { Docker } from "./engine.ts";

const NO_IMAGE = "kiln-no-such-image:none";
const TIMEOUT_MS = 10_000;

/**
 * Whether the daemon finds a path on its machine. It is asked for a container that it cannot make, as there is no such
 * image; before it says that, it says that a mount's source is missing.
 */
export async function seesPath(docker: Docker, path: string): Promise<boolean> {
  const options = {
    Image: NO_IMAGE,
    HostConfig: { Mounts: [{ Type: "bind" as const, Source: path, Target: "/seen", ReadOnly: true }] },
    abortSignal: AbortSignal.timeout(TIMEOUT_MS),
  };
  try {
    const made = await docker.createContainer(options);
    await made.remove({ force: true });
    return true;
  } catch (error) {
    const { status, message } = engineFailure(error);
    return status === 404 && message.includes(NO_IMAGE);
  }
}
