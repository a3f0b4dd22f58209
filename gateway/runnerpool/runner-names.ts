import type { Log } from "../../core/log.ts";
import type { RunnerHello } from "../../core/session/frames.ts";
import { openLink, type LinkOptions, type RunnerLink } from "./runner-link.ts";

type OpenLink = (options: LinkOptions) => Promise<RunnerLink>;

interface Connected extends Pick<RunnerHello, "runnerId" | "bootId"> {
  readonly address: string;
}

/**
 * Notices connected runners of one name. A runner sees others of its name on its own machine alone; with the Docker of
 * another machine in common, each would remove the other's containers as leftovers at its start.
 */
export class RunnerNames {
  readonly #log: Log;
  readonly #connected = new Set<Connected>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** How many there are whose name another one has too. */
  get shared(): number {
    const all = [...this.#connected];
    return all.filter((one) => all.some((other) => isShared(one, other))).length;
  }

  /** The same way to open connections, of which it hears. */
  watch(open: OpenLink = openLink): OpenLink {
    return async (options) => {
      const link = await open(options);
      const { runnerId, bootId } = link.hello;
      const one = { address: options.address, runnerId, bootId };
      this.#notice(one);
      this.#connected.add(one);
      void link.lost.then(() => this.#connected.delete(one));
      return link;
    };
  }

  #notice(one: Connected): void {
    const other = [...this.#connected].find((known) => isShared(one, known));
    if (other === undefined) return;
    const which = { runnerId: one.runnerId, runner: one.address, other: other.address };
    if (one.bootId === other.bootId) this.#log.warn("A runner is in the pool twice, its places count twice", which);
    else this.#log.warn("Two runners have one name: give each its own, FN_RUNNER_ID", which);
  }
}

/** One that moves from one connection to the next has both for a moment. */
function isShared(one: Connected, other: Connected): boolean {
  return one.runnerId === other.runnerId && one.address !== other.address;
}
