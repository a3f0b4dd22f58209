import { readFile } from "node:fs/promises";
import { join } from "node:path";

import type { Docker } from "../../runner/driver/docker/engine.ts";
import { findCgroup } from "../../runner/driver/docker/find-cgroup.ts";

export type FreezerState = "frozen" | "freezing" | "running";

/** What the kernel says of a running container's processes, whoever froze them. */
export async function freezerState(docker: Docker, containerId: string): Promise<FreezerState> {
  const { State } = await docker.getContainer(containerId).inspect();
  const { version, path } = await findCgroup({ containerId, pid: State.Pid });
  if (version === "v2") {
    return /^frozen 1$/m.test(await readFile(join(path, "cgroup.events"), "utf8")) ? "frozen" : "running";
  }
  const state = (await readFile(join(path, "freezer.state"), "utf8")).trim();
  if (state === "FREEZING") return "freezing";
  return state === "FROZEN" ? "frozen" : "running";
}
