import { constants, writeSync } from "node:fs";
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";

import { pause, type Clock } from "../../../core/clock.ts";
import type { CgroupVersion } from "../../cgroup-mounts.ts";
import { findCgroup, type ContainerProcess } from "./find-cgroup.ts";
import { throwIfAborted } from "./unless-aborted.ts";

/** A container's freezer, as the kernel has it. */
export interface CgroupFreezer extends AsyncDisposable {
  /** Resolves when all of it stands still. If it rejects it was told to go on again. */
  freeze(signal: AbortSignal): Promise<void>;
  thaw(): Promise<void>;
}

interface FreezerFiles {
  readonly control: string;
  readonly freeze: string;
  readonly thaw: string;
  /** Tells how far a freeze has come. */
  readonly state: string;
  readonly frozen: RegExp;
}

const FILES: Readonly<Record<CgroupVersion, FreezerFiles>> = {
  v1: { control: "freezer.state", freeze: "FROZEN", thaw: "THAWED", state: "freezer.state", frozen: /^FROZEN$/m },
  v2: { control: "cgroup.freeze", freeze: "1", thaw: "0", state: "cgroup.events", frozen: /^frozen 1$/m },
};

// Most are frozen at the first look. A process that waits for a disk is frozen when it has what it waits for.
const LOOKS = { most: 50, everyMs: 2 } as const;

/**
 * Takes hold of a running container's freezer.
 * @throws Error where its files are out of reach, or the process turns out not to be the container's
 */
export async function openCgroupFreezer(process: ContainerProcess, clock: Clock): Promise<CgroupFreezer> {
  const { version, path } = await findCgroup(process);
  const files = FILES[version];
  // Kept open: a thaw is on the way of a call, and opening would take as long again.
  const control = await open(join(path, files.control), constants.O_WRONLY);
  const write = (text: string) => control.write(text, 0);
  // Some 0.25 ms, for which a thread would take half as long again. Version 2 has one lock for all that is done to any
  // cgroup, and whoever starts containers may hold it for long: nothing else must wait for that.
  const thaw = async () => void (version === "v1" ? writeSync(control.fd, files.thaw, 0) : await write(files.thaw));

  return {
    async freeze(signal) {
      throwIfAborted(signal);
      await write(files.freeze);
      for (let looks = 1; !files.frozen.test(await readFile(join(path, files.state), "utf8")); looks += 1) {
        if (looks === LOOKS.most || signal.aborted) {
          await thaw();
          throw new Error(`Container did not stand still within ${LOOKS.most * LOOKS.everyMs} ms`);
        }
        await pause(clock, LOOKS.everyMs, signal);
      }
    },
    thaw,
    [Symbol.asyncDispose]: () => control.close(),
  };
}
