import type { Settings } from "../../../../core/config.ts";
import type { RUNNER_SETTINGS } from "../../../settings.ts";
import type { EngineClient } from "../engine-call.ts";
import { parseImage } from "../images/image-reference.ts";
import { inspectImage } from "../images/inspect-image.ts";
import { pullImage } from "../images/pull-image.ts";
import { NO_AUTHS, type RegistryAuths } from "../images/registry-auths.ts";
import type { HolderProgram } from "./holder-options.ts";
import { ensurePauseImage, PAUSE_COMMAND } from "./pause-image.ts";
import { openPrefork, type Prefork, type PreforkDependencies } from "./prefork.ts";

type PreforkSettings = Pick<
  Settings<typeof RUNNER_SETTINGS>,
  | "FN_EXPERIMENTAL_PREFORK_POOL_SIZE"
  | "FN_EXPERIMENTAL_PREFORK_IMAGE"
  | "FN_EXPERIMENTAL_PREFORK_CMD"
  | "FN_EXPERIMENTAL_PREFORK_USE_ONCE"
  | "FN_EXPERIMENTAL_PREFORK_NETWORKS"
  | "FN_HOT_PULL_TIMEOUT_MSECS"
>;

/** Fn's, for an image of the operator's. */
const COMMAND = "tail -f /dev/null";

/** The pool as the settings say, or none. @throws Error for settings that contradict each other */
export function preforkOf(
  settings: PreforkSettings,
  dependencies: PreforkDependencies,
  auths: RegistryAuths = NO_AUTHS,
): Prefork | undefined {
  const size = settings.FN_EXPERIMENTAL_PREFORK_POOL_SIZE;
  if (size === 0) return undefined;
  const { FN_EXPERIMENTAL_PREFORK_IMAGE: image, FN_EXPERIMENTAL_PREFORK_CMD: command } = settings;
  if (image === "" && command !== "") {
    throw new Error(
      "Cannot start: FN_EXPERIMENTAL_PREFORK_CMD is for an image of yours, set FN_EXPERIMENTAL_PREFORK_IMAGE as well",
    );
  }
  const words = (command || COMMAND).split(/\s+/);
  return openPrefork(
    {
      size,
      useOnce: settings.FN_EXPERIMENTAL_PREFORK_USE_ONCE,
      networks: settings.FN_EXPERIMENTAL_PREFORK_NETWORKS,
      program: (closing) => {
        if (image === "") return ownProgram(dependencies);
        const signal = AbortSignal.any([closing, AbortSignal.timeout(settings.FN_HOT_PULL_TIMEOUT_MSECS)]);
        return pulled(dependencies, { image, command: words }, auths, signal);
      },
    },
    dependencies,
  );
}

async function ownProgram(client: EngineClient): Promise<HolderProgram> {
  return { image: await ensurePauseImage(client), command: PAUSE_COMMAND };
}

/** The operator's program, with its image there. */
async function pulled(
  client: EngineClient,
  program: HolderProgram,
  auths: RegistryAuths,
  signal: AbortSignal,
): Promise<HolderProgram> {
  const { image } = program;
  const found = await inspectImage(client, image, signal);
  const credentials = () => auths.find(parseImage(image), "");
  if (found === undefined) await pullImage(client.docker, image, credentials(), signal);
  return program;
}
