import { claim } from "../core/claim.ts";
import type { SocketDirectories } from "./hot/socket-directory.ts";

/** What makes a container this runner's. */
export interface RunnerName {
  readonly installation: string;
  readonly runnerId: string;
  /** What it is one of several workers of; itself where it is none. */
  readonly service: string;
  /** Which of them, from 1; 0 where it is none. */
  readonly worker: number;
  /** Where its Docker listens. */
  readonly host: string;
}

export interface Claimed<Directories> {
  /** Disposing it gives the name back, as does the process's end. */
  readonly claimed: AsyncDisposable;
  readonly directories: Directories;
}

/**
 * Makes sure that no other living runner has this name: the two would take each other's containers for leftovers. It
 * sees runners of its machine: of its network namespace, and beyond that those with socket directories beside its own.
 * @param open - makes these. Not called where the name is taken: a runner that has it would see them, and end too
 * @throws Error naming the runner, and what to set
 */
export async function claimName<Directories extends Pick<SocketDirectories, "hasLivingPeer"> & AsyncDisposable>(
  name: RunnerName,
  open: () => Promise<Directories>,
): Promise<Claimed<Directories>> {
  await using made = new AsyncDisposableStack();
  const claimed = await claimAlone(name);
  if (claimed === undefined) throw taken(name);
  made.use(claimed);
  const directories = made.use(await open());
  if (await directories.hasLivingPeer()) throw taken(name);
  made.move();
  return { claimed, directories };
}

/** The same without a look at directories; undefined where the name is taken. */
export function claimAlone({ installation, runnerId, host }: RunnerName): Promise<AsyncDisposable | undefined> {
  return claim(["runner", installation, runnerId, host]);
}

function taken({ installation, runnerId, host }: RunnerName): Error {
  const who = `another runner "${runnerId}" of installation "${installation}" runs with the Docker at ${host}`;
  return new Error(`Cannot start: ${who}. Give each its own name, FN_RUNNER_ID`);
}
