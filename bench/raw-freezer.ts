import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";

import { type ContainerProcess, findCgroup } from "../runner/driver/docker/find-cgroup.ts";

/** A container's freezer with nothing around it: the bound of what a runner can do. */
export interface RawFreezer extends Disposable {
  /** Returns once the kernel says that all of it stands still. */
  freeze(): void;
  thaw(): void;
}

const FILES = {
  v1: { control: "freezer.state", freeze: "FROZEN", thaw: "THAWED", state: "freezer.state", frozen: "FROZEN" },
  v2: { control: "cgroup.freeze", freeze: "1", thaw: "0", state: "cgroup.events", frozen: "frozen 1" },
} as const;

/** @throws Error where the files are out of reach */
export async function openRawFreezer(container: ContainerProcess): Promise<RawFreezer> {
  const { version, path } = await findCgroup(container);
  const files = FILES[version];
  const state = join(path, files.state);
  const control = openSync(join(path, files.control), "w");
  return {
    freeze() {
      writeSync(control, files.freeze, 0);
      while (!readFileSync(state, "utf8").includes(files.frozen));
    },
    thaw: () => void writeSync(control, files.thaw, 0),
    [Symbol.dispose]: () => closeSync(control),
  };
}
