import type { ContainerCreateOptions } from "dockerode";

import { type Installation, LABELS, ownerLabels } from "../container-options.ts";

export interface HolderProgram {
  readonly image: string;
  readonly command: readonly string[];
}

const MIB = 1_048_576;
// Docker's runtime runs in them as well while it starts the container.
const MEMORY_BYTES = 32 * MIB;
const PIDS = 32;

/** A container that only holds a network namespace. */
export function holderOptions(
  name: string,
  network: string,
  { image, command }: HolderProgram,
  installation: Installation,
): ContainerCreateOptions {
  return {
    name,
    Image: image,
    Cmd: [...command],
    User: "65534:65534",
    Healthcheck: { Test: ["NONE"] },
    // A first process does not end by SIGTERM of itself: a daemon that stops would wait ten seconds for it.
    StopSignal: "SIGKILL",
    Labels: { ...ownerLabels(installation), [LABELS.prefork]: "holder" },
    HostConfig: {
      NetworkMode: network,
      LogConfig: { Type: "none", Config: {} },
      ReadonlyRootfs: true,
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges"],
      IpcMode: "none",
      Memory: MEMORY_BYTES,
      MemorySwap: MEMORY_BYTES,
      PidsLimit: PIDS,
    },
  };
}
