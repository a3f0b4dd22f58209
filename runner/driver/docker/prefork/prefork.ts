import { CallError } from "../../../../core/call-error.ts";
import type { Log } from "../../../../core/log.ts";
import type { Metrics } from "../../../../core/metrics.ts";
import { containerEngine } from "../container-engine.ts";
import type { Installation } from "../container-options.ts";
import type { EngineClient } from "../engine-call.ts";
import { unlessAborted } from "../unless-aborted.ts";
import { DockerHolders } from "./docker-holders.ts";
import type { HolderProgram } from "./holder-options.ts";
import { networkPlaces } from "./network-places.ts";
import type { Lease } from "./pool-contract.ts";
import { PreforkPool } from "./pool.ts";
import { preforkMetrics, type TakeOutcome } from "./prefork-metrics.ts";
import type { Rate } from "./token-bucket.ts";

export interface PreforkOptions {
  readonly size: number;
  readonly useOnce: boolean;
  /** None means Docker's default bridge. */
  readonly networks: readonly string[];
  /** Makes sure of the holders' image. Asked again after a failure. The signal aborts when the pool is disposed of. */
  readonly program: (signal: AbortSignal) => Promise<HolderProgram>;
  /** Ten a second, twenty at once. */
  readonly rate?: Rate;
}

export interface PreforkDependencies extends EngineClient {
  readonly installation: Installation;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Network namespaces that are there before a container needs one. Disposing it removes all holders. */
export interface Prefork extends AsyncDisposable {
  /** Begins to make holders. */
  open(): void;
  /** Docker is back: what could not be had is tried at once. */
  retry(): void;
  /** Never waits: undefined where none is free. */
  take(): NamespaceLease | undefined;
  /** How a container got its network. */
  count(outcome: TakeOutcome): void;
}

/** One holder's network namespace, for one container at a time. */
export interface NamespaceLease {
  readonly holderId: string;
  /** Aborts if the holder dies: whoever is in its namespace has no network any more. */
  readonly lost: AbortSignal;
  /** The container that joined it is gone. */
  giveBack(): void;
  /** The holder is dead, or the container could not be removed: the holder is made anew. */
  discard(): void;
}

/** Fn's. */
const RATE: Rate = { perSecond: 10, burst: 20 };

export function openPrefork(options: PreforkOptions, dependencies: PreforkDependencies): Prefork {
  const { installation, clock, log, metrics } = dependencies;
  const { size, useOnce, program, rate = RATE } = options;
  const networks = options.networks.length === 0 ? ["bridge"] : options.networks;
  const count = preforkMetrics(metrics, size);
  const losing = new Map<Lease, AbortController>();

  const engine = containerEngine(dependencies);
  const closing = new AbortController();
  const holders = new DockerHolders({
    engine,
    installation,
    clock,
    log,
    // An image that is still pulled must not hold up the end.
    program: () => unlessAborted(program(closing.signal), closing.signal),
    closing: closing.signal,
    answer: () => pool,
  });
  const pool: PreforkPool = new PreforkPool(
    { size, useOnce, networks, rate },
    {
      look: (network) => {
        const ours = (id: string) => holders.has(id);
        void networkPlaces(dependencies, network, ours).then((places) => pool.looked(network, places));
      },
      initialise: (holder, network) => holders.initialise(holder, network),
      start: (holder) => holders.start(holder),
      kill(holder) {
        count.recycled();
        holders.kill(holder);
      },
      remove: (holder) => holders.remove(holder),
      lost(lease) {
        log.warn("A prefork holder died, and its function has lost its network", { holder: lease.holder });
        losing.get(lease)?.abort();
        losing.delete(lease);
      },
      network(name, news) {
        if (news === "back") return log.info("Prefork pool uses a network again", { network: name });
        count.networkTrouble(name, news);
        log.warn(`Prefork pool leaves out a network: it is ${news}`, { network: name });
      },
      moved: (from, to) => count.moved(from, to),
      short: (missing) =>
        log.warn("Prefork pool is larger than its networks have places", { missing, networks: networks.join(" ") }),
    },
    clock,
  );

  return {
    open: () => pool.open(),
    retry: () => pool.retry(),
    take() {
      const lease = pool.take();
      if (lease === undefined) return undefined;
      const lost = new AbortController();
      losing.set(lease, lost);
      return {
        holderId: holders.id(lease.holder),
        lost: lost.signal,
        giveBack() {
          losing.delete(lease);
          pool.giveBack(lease);
        },
        discard() {
          losing.delete(lease);
          pool.discard(lease);
        },
      };
    },
    count: (outcome) => count.took(outcome),
    async [Symbol.asyncDispose]() {
      closing.abort(new CallError("shutting_down"));
      await pool.close();
    },
  };
}
