import type { ContainerCreateOptions } from "dockerode";

import { CallError } from "../../../core/call-error.ts";
import type { Clock } from "../../../core/clock.ts";
import type { Log } from "../../../core/log.ts";
import type { ContainerPlace, Driver, FunctionOutput, HotContainer } from "../driver.ts";
import { containerEngine } from "./container-engine.ts";
import { containerFreezers, type FreezeBy } from "./container-freezer.ts";
import { containerOptions, hostPath, type Installation } from "./container-options.ts";
import type { StartDependencies } from "./docker-container.ts";
import { ENGINE_TIMEOUTS, type EngineTimeouts } from "./engine-call.ts";
import type { Docker } from "./engine.ts";
import type { Guard } from "./guard.ts";
import { createImages, type ImageOptions } from "./images/images.ts";
import { inspectImage } from "./images/inspect-image.ts";
import { PlainNetworks } from "./networks/plain-networks.ts";
import { startPlain } from "./networks/start-plain.ts";
import { isJoinable } from "./prefork/joinable.ts";
import type { Prefork } from "./prefork/prefork.ts";
import { startJoined } from "./prefork/start-joined.ts";
import { DEFAULT_SANDBOX, type Sandbox } from "./sandbox.ts";
import { seesPath } from "./sees-path.ts";

export type { ContainerCreateOptions };

export interface DockerDriverOptions {
  readonly docker: Docker;
  readonly installation: Installation;
  /** Has the last word on what the hooks made of a container's options. */
  readonly guard: Guard;
  readonly clock: Clock;
  readonly log: Log;
  readonly sandbox?: Partial<Sandbox>;
  readonly images?: ImageOptions;
  readonly timeouts?: EngineTimeouts;
  /** By the cgroup's own file unless told otherwise. */
  readonly freezeBy?: FreezeBy;
  /** Takes what containers write. Without it their stdout is not read at all. */
  readonly output?: FunctionOutput;
  /** Network namespaces to join. The driver owns it; to open it is the caller's. */
  readonly prefork?: Prefork | undefined;
}

/** Runs functions in Docker containers. Disposing it removes those that are left. */
export function dockerDriver(options: DockerDriverOptions): Driver<ContainerCreateOptions> {
  const { docker, installation, guard, clock, log, output: sink, prefork } = options;
  const sandbox = { ...DEFAULT_SANDBOX, ...options.sandbox };
  const client = { docker, clock, timeouts: options.timeouts ?? ENGINE_TIMEOUTS };
  const engine = containerEngine(client);
  const freezer = containerFreezers({ engine, clock, log }, options.freezeBy ?? "cgroup");
  const images = createImages(client, options.images, log);
  const networks = new PlainNetworks(sandbox.networks, clock, log);
  // What the driver itself asked for: the measure of what hooks may do, out of their reach.
  const built = new WeakMap<ContainerPlace, ContainerCreateOptions>();
  const running = new Set<HotContainer>();
  const starting = new Set<Promise<HotContainer>>();
  const closing = new AbortController();

  const track = (container: HotContainer): HotContainer => {
    const tracked = {
      ...container,
      async [Symbol.asyncDispose]() {
        await container[Symbol.asyncDispose]();
        running.delete(tracked);
      },
    };
    running.add(tracked);
    return tracked;
  };

  /** What could not be removed before may have been in somebody's use. */
  const removeAtLast = async (container: HotContainer) => {
    try {
      await container[Symbol.asyncDispose]();
    } catch {
      await engine.remove(container.id);
    }
  };

  return {
    name: "docker",
    isolation: "container",
    prepare: ({ image, appName }, { registryToken }, signal) =>
      images.prepare({ image, appName, registryToken }, AbortSignal.any([signal, closing.signal])),

    imageId: async (image, signal) => (await inspectImage(client, image, signal))?.Id,

    sees: (path) => seesPath(client, hostPath(path, sandbox)),

    options(task, place) {
      const sources = { task, place, sandbox, installation, network: networks.next() };
      built.set(place, containerOptions(sources));
      return containerOptions(sources);
    },

    async start({ task, place, options: asked }, signal) {
      const own = built.get(place);
      if (own === undefined) throw new CallError("hook_failed", "A driver hook passed on another place than its own");
      const checked = guard.check(asked, own);
      const either = AbortSignal.any([signal, closing.signal]);
      const output = sink === undefined ? undefined : (id: string) => sink.open(id, task);
      const dependencies = { engine, clock, log, freezer, output, listens: place.listens };
      const plain = () => startPlain({ checked, own, guard }, networks, dependencies, either);
      const started = startChecked({ checked, own, prefork, plain }, dependencies, either).then(track);
      starting.add(started);
      return await started.finally(() => starting.delete(started));
    },

    async [Symbol.asyncDispose]() {
      closing.abort(new CallError("shutting_down"));
      await using _prefork = prefork;
      await Promise.allSettled([...starting, images[Symbol.asyncDispose]()]);
      const removals = await Promise.allSettled([...running].map(removeAtLast));
      for (const removal of removals) if (removal.status === "rejected") throw removal.reason;
    },
  };
}

interface CheckedStart {
  readonly checked: ContainerCreateOptions;
  readonly own: ContainerCreateOptions;
  readonly prefork: Prefork | undefined;
  readonly plain: () => Promise<HotContainer>;
}

/** In a holder's network namespace if it may, and on its own network otherwise. */
function startChecked(
  { checked, own, prefork, plain }: CheckedStart,
  dependencies: StartDependencies,
  signal: AbortSignal,
): Promise<HotContainer> {
  if (prefork !== undefined && isJoinable(checked, own))
    return startJoined(checked, prefork, plain, dependencies, signal);
  // One that wants no network is not short of one.
  if (checked.HostConfig?.NetworkMode !== "none") prefork?.count("options");
  return plain();
}
