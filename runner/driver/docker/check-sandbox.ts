import { engineFailure } from "./docker-errors.ts";
import type { EngineClient } from "./engine-call.ts";
import { engineInfo } from "./engine-info.ts";
import { ensurePauseImage } from "./prefork/pause-image.ts";
import type { Sandbox } from "./sandbox.ts";

/** Asks the daemon for what not every daemon has. @throws Error naming the setting that it cannot follow */
export async function checkSandbox(
  client: EngineClient,
  { rootMiB, runtime }: Pick<Sandbox, "rootMiB" | "runtime">,
): Promise<void> {
  if (runtime !== "") await checkRuntime(client, runtime);
  if (rootMiB > 0) await checkRootSize(client, rootMiB);
}

async function checkRuntime(client: EngineClient, runtime: string): Promise<void> {
  const { Runtimes: runtimes = {} } = await engineInfo(client);
  // A shim is named in full, and need not be in the daemon's list.
  if (runtime in runtimes || runtime.startsWith("io.containerd.")) return;
  const known = Object.keys(runtimes).join(", ");
  throw new Error(`Cannot start: FN_DOCKER_RUNTIME is "${runtime}", and Docker has ${known}`);
}

/** Only some storage drivers on some file systems can: the daemon tells when it is to make such a container. */
async function checkRootSize(client: EngineClient, rootMiB: number): Promise<void> {
  const HostConfig = { StorageOpt: { size: `${rootMiB}M` }, NetworkMode: "none" };
  try {
    const made = await client.docker.createContainer({ Image: await ensurePauseImage(client), HostConfig });
    await made.remove({ force: true });
  } catch (cause) {
    const { message } = engineFailure(cause);
    throw new Error(`Cannot start: FN_MAX_FS_SIZE_MB is ${rootMiB}, and Docker cannot limit it here: ${message}`, {
      cause,
    });
  }
}
