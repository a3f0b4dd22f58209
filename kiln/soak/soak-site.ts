import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Docker } from "../../runner/driver/docker/engine.ts";

/** Where a soak leaves its traces. Disposing it removes what is left of its directory. */
export interface SoakSite extends AsyncDisposable {
  readonly docker: Docker;
  readonly installation: string;
  /** Of the socket directories. */
  readonly directory: string;
  /** Of all containers that were seen while it went on. */
  readonly names: ReadonlySet<string>;
}

/** How many there are of what. */
export type Counts = Readonly<Record<string, number>>;

const LOOK_EVERY_MS = 500;

export async function openSite(docker: Docker): Promise<SoakSite> {
  const installation = `soak-${randomBytes(6).toString("hex")}`;
  const directory = await mkdtemp(join(tmpdir(), "kiln-soak-"));
  const names = new Set<string>();
  let looking = Promise.resolve();
  const look = setInterval(() => {
    looking = looking.then(async () => {
      for (const { Names } of await containersOf(docker, installation)) for (const name of Names) names.add(name);
    });
  }, LOOK_EVERY_MS);
  return {
    docker,
    installation,
    directory,
    names,
    async [Symbol.asyncDispose]() {
      clearInterval(look);
      await looking;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** What this process, its Docker and its directory hold. */
export async function held({ docker, installation, directory, names }: SoakSite): Promise<Counts> {
  const containers = await containersOf(docker, installation);
  const resources = process.getActiveResourcesInfo();
  return {
    containers: containers.length,
    attachments: await attachments(docker, names),
    directories: (await readdir(directory)).length,
    files: (await readdir("/proc/self/fd")).length,
    timers: resources.filter((kind) => kind === "Timeout").length,
    handles: resources.filter((kind) => kind !== "Timeout").length,
  };
}

function containersOf(docker: Docker, installation: string) {
  return docker.listContainers({ all: true, filters: { label: [`kiln.installation=${installation}`] } });
}

/** Places on networks that containers of these names still have, whether or not the containers are there. */
async function attachments(docker: Docker, names: ReadonlySet<string>): Promise<number> {
  let count = 0;
  for (const { Id } of await docker.listNetworks()) {
    // Others make and remove networks meanwhile.
    const network = await docker
      .getNetwork(Id)
      .inspect()
      .catch(() => undefined);
    const places: Readonly<Record<string, { readonly Name: string }>> = network?.Containers ?? {};
    count += Object.values(places).filter(({ Name }) => names.has(`/${Name}`)).length;
  }
  return count;
}
