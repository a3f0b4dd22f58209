import { engineFailure } from "./docker-errors.ts";
import { engineCall, type EngineClient } from "./engine-call.ts";

const NO_IMAGE = "kiln-no-such-image:none";

/**
 * Whether the daemon finds a path on its machine. It is asked for a container that it cannot make, as there is no such
 * image; before it says that, it says that a mount's source is missing.
 */
export async function seesPath(client: EngineClient, path: string): Promise<boolean> {
  const options = {
    Image: NO_IMAGE,
    HostConfig: { Mounts: [{ Type: "bind" as const, Source: path, Target: "/seen", ReadOnly: true }] },
  };
  try {
    const made = await engineCall(client, "create the container", (abortSignal) =>
      client.docker.createContainer({ ...options, abortSignal }),
    );
    await made.remove({ force: true });
    return true;
  } catch (error) {
    const { status, message } = engineFailure(error);
    return status === 404 && message.includes(NO_IMAGE);
  }
}
