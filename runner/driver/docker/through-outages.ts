import { CallError } from "../../../core/call-error.ts";
import { pause } from "../../../core/clock.ts";
import type { ContainerExit, Driver, HotContainer } from "../driver.ts";
import { containerEngine } from "./container-engine.ts";
import type { EngineHealth } from "./engine-health.ts";
import { removeStrays, runningContainers, type SweepDependencies } from "./leftovers.ts";
import { unlessAborted } from "./unless-aborted.ts";

export interface OutageDependencies extends SweepDependencies {
  /** Belongs to the driver that is made of it. */
  readonly health: EngineHealth;
  /** Told when Docker is back, and all that ended meanwhile has been told of. */
  readonly recovered?: () => void;
}

/** What Docker was asked for before it hung, it does once it goes on, whoever has left meanwhile. */
const SECOND_SWEEP_MS = 5_000;
/** Between two tries to learn what runs: a daemon that has just begun may answer pings and nothing else. */
const CENSUS_EVERY_MS = 500;
/** A runner that stops does not wait for a Docker that is away. */
const LAST_TRY_MS = 5_000;

/** Nobody can tell any more how it ended. */
const LOST: ContainerExit = { exitCode: 137, outOfMemory: false };

/**
 * A driver that lives through outages of its Docker. While that is away it refuses at once, and lets nobody wait for a
 * start that was under way; containers to be removed wait for its return. Then those that ended are told of before anybody
 * hears that it is back, and those that nobody knows of are removed.
 */
export function throughOutages<Options>(driver: Driver<Options>, dependencies: OutageDependencies): Driver<Options> {
  const { health, clock, log } = dependencies;
  const { imageId } = driver;
  const engine = containerEngine(dependencies);
  /** Names of containers that somebody answers for. */
  const known = new Set<string>();
  /** Those that run, by their ids. */
  const running = new Map<string, () => void>();
  const observers = new Set<() => void>();
  const closing = new AbortController();
  /** Docker's own, and then some: what it answers for has to be known first. */
  let trouble = health.trouble;
  let recovering = Promise.resolve();

  const sweep = async () => {
    try {
      const removed = await removeStrays(dependencies, (name) => known.has(name));
      if (removed > 0) log.info("Removed what an outage of Docker left behind", { containers: removed });
    } catch (reason) {
      log.warn("Docker's outage may have left containers behind", { reason });
    }
  };
  const census = async () => {
    const there = await runningContainers(dependencies);
    for (const [id, lost] of running) if (!there.has(id)) lost();
  };
  /** Tries until it works: until then nobody hears that Docker is back. */
  const sureCensus = async (stop: AbortSignal) => {
    while (!stop.aborted) {
      try {
        return await census();
      } catch (reason) {
        log.warn("Docker answers, but does not say what runs: it is asked again", { reason });
        await pause(clock, CENSUS_EVERY_MS, stop);
      }
    }
  };
  const changed = (now: CallError | undefined) => {
    trouble = now;
    for (const observer of observers) observer();
  };
  const recover = async () => {
    const { away } = health;
    const stop = AbortSignal.any([closing.signal, away]);
    await sureCensus(stop);
    // It may have gone again meanwhile.
    if (!away.aborted) {
      changed(undefined);
      dependencies.recovered?.();
    }
    await sweep();
    await pause(clock, SECOND_SWEEP_MS, stop);
    if (!stop.aborted) await sweep();
  };
  const unobserve = health.observe(() => {
    if (health.trouble !== undefined) return changed(health.trouble);
    recovering = recovering.then(recover);
  });

  const remove = async (container: HotContainer): Promise<void> => {
    try {
      await container[Symbol.asyncDispose]();
    } catch (error) {
      if (health.trouble === undefined || closing.signal.aborted) throw error;
      await health.back();
      await engine.remove(container.id);
    }
  };
  const tracked = (container: HotContainer, name: string): HotContainer => {
    const lost = Promise.withResolvers<ContainerExit>();
    running.set(container.id, () => lost.resolve(LOST));
    const forget = () => {
      running.delete(container.id);
      known.delete(name);
    };
    let removed: Promise<void> | undefined;
    return {
      ...container,
      exited: Promise.race([container.exited, lost.promise]),
      [Symbol.asyncDispose]: () => (removed ??= remove(container).finally(forget)),
    };
  };

  return {
    ...driver,
    availability: {
      get trouble() {
        return trouble;
      },
      observe(observer) {
        observers.add(observer);
        return () => observers.delete(observer);
      },
    },
    ...(imageId === undefined
      ? {}
      : {
          imageId: async (image, signal) => {
            if (trouble !== undefined) throw trouble;
            return await imageId(image, AbortSignal.any([signal, health.away]));
          },
        }),
    async prepare(task, credentials, signal) {
      if (trouble !== undefined) throw trouble;
      return await driver.prepare(task, credentials, AbortSignal.any([signal, health.away]));
    },
    async start(start, signal) {
      if (trouble !== undefined) throw trouble;
      const { away } = health;
      const name = start.place.id;
      known.add(name);
      const starting = driver.start(start, signal).then((container) => tracked(container, name));
      starting.catch(() => known.delete(name));
      try {
        return await unlessAborted(starting, away);
      } catch (error) {
        // It may come to its end all the same, and is then nobody's.
        if (away.aborted) void starting.then((container) => container[Symbol.asyncDispose]()).catch(() => {});
        throw error;
      }
    },
    async [Symbol.asyncDispose]() {
      unobserve();
      closing.abort(new CallError("shutting_down"));
      await using _health = health;
      const ended = Promise.all([driver[Symbol.asyncDispose](), recovering]);
      if (health.trouble === undefined) return void (await ended);
      log.warn("Docker is away: containers may be left behind until the next start");
      await Promise.race([ended.catch(() => {}), pause(clock, LAST_TRY_MS)]);
    },
  };
}
