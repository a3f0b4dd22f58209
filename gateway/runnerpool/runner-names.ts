import type { Log } from "../../core/log.ts";
import { openLink, type LinkOptions, type RunnerLink } from "./runner-link.ts";

type OpenLink = (options: LinkOptions) => Promise<RunnerLink>;

interface Connected {
  readonly address: string;
  readonly bootId: string;
}

/**
 * Notices connected runners of one name. A runner sees others of its name on its own machine alone; with the Docker of
 * another machine in common, each would remove the other's containers as leftovers at its start.
 */
export class RunnerNames {
  readonly #log: Log;
  readonly #byName = new Map<string, Set<Connected>>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** How many there are whose name another one has too. */
  get shared(): number {
    const addresses = [...this.#byName.values()].map((ones) => new Set([...ones].map(({ address }) => address)).size);
    return addresses.reduce((sum, count) => sum + (count > 1 ? count : 0), 0);
  }

  /** The same way to open connections, of which it hears. */
  watch(open: OpenLink = openLink): OpenLink {
    return async (options) => {
      const link = await open(options);
      const { runnerId, bootId } = link.hello;
      const forget = this.#add(runnerId, { address: options.address, bootId });
      void link.lost.then(forget);
      return link;
    };
  }

  #add(runnerId: string, one: Connected): () => void {
    const ones = this.#byName.get(runnerId) ?? new Set();
    // One that moves from one connection to the next has both for a moment.
    const other = [...ones].find(({ address }) => address !== one.address);
    if (other !== undefined) {
      const which = { runnerId, runner: one.address, other: other.address };
      if (one.bootId === other.bootId) this.#log.warn("A runner is in the pool twice, its places count twice", which);
      else this.#log.warn("Two runners have one name: give each its own, FN_RUNNER_ID", which);
    }
    this.#byName.set(runnerId, ones.add(one));
    return () => {
      ones.delete(one);
      if (ones.size === 0) this.#byName.delete(runnerId);
    };
  }
}
