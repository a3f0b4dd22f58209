import { claim } from "../core/claim.ts";
import type { SocketDirectories } from "./hot/socket-directory.ts";

/** What makes a container this runner's. */
export interface RunnerName {
  readonly installation: string;
  readonly runnerId: string;
  /** Where its Docker listens. */
  readonly host: string;
}

/**
 * Makes sure that no other living runner has this name: the two would take each other's containers for leftovers.
 * Disposing it gives the name back, as does the process's end. It sees runners of its machine: of its network
 * namespace, and beyond that those with socket directories beside its own.
 * @throws Error naming the runner, and what to set
 */
export async function claimName(
  name: RunnerName,
  directories: Pick<SocketDirectories, "hasLivingPeer">,
): Promise<AsyncDisposable> {
  await using made = new AsyncDisposableStack();
  const { installation, runnerId, host } = name;
  const claimed = await claim(["runner", installation, runnerId, host]);
  if (claimed === undefined) throw taken(name);
  made.use(claimed);
  if (await directories.hasLivingPeer()) throw taken(name);
  return made.move();
}

function taken({ installation, runnerId, host }: RunnerName): Error {
  const who = `another runner "${runnerId}" of installation "${installation}" runs with the Docker at ${host}`;
  return new Error(`Cannot start: ${who}. Give each its own name, FN_RUNNER_ID`);
}
