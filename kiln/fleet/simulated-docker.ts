import { CallError } from "../../core/call-error.ts";
import { pause, type Clock } from "../../core/clock.ts";
import type { ContainerTask } from "../../core/container-task.ts";
import { containerOptions } from "../../runner/driver/docker/container-options.ts";
import type { ContainerCreateOptions } from "../../runner/driver/docker/docker-driver.ts";
import { createGuard, type Guard } from "../../runner/driver/docker/guard.ts";
import { DEFAULT_SANDBOX } from "../../runner/driver/docker/sandbox.ts";
import type { ContainerPlace, Driver } from "../../runner/driver/driver.ts";
import type { FunctionContact } from "../../runner/hot/launch.ts";
import { SimulatedContainer } from "./simulated-container.ts";
import { simulatedClient } from "./simulated-exchange.ts";
import type { SimulatedFunction, StartPlan } from "./simulated-function.ts";

/** A driver whose functions are reached without sockets. */
export interface FleetDriver<Options> extends Driver<Options> {
  readonly contact: FunctionContact;
  /** Those that exist, in the order of their starts. */
  readonly containers: readonly SimulatedContainer[];
}

/** What a driver of a fleet is made for: one boot of one runner. */
export interface DriverSite {
  readonly clock: Clock;
  readonly runnerId: string;
  readonly bootId: string;
  /** By image. */
  readonly functions: ReadonlyMap<string, SimulatedFunction>;
}

export type FleetDriverFactory<Options> = (site: DriverSite) => FleetDriver<Options>;

export interface SimulatedDockerOptions {
  /** Has the last word on what hooks made of the options. By default it permits nothing beyond its own table. */
  readonly guard?: Guard;
}

/**
 * Starts no container, and does all that comes before one: the shipped create options, changed by the hooks and
 * checked by the shipped guard.
 */
export function simulatedDocker(options: SimulatedDockerOptions = {}): FleetDriverFactory<ContainerCreateOptions> {
  const { guard = createGuard() } = options;
  return ({ clock, runnerId, bootId, functions }) => {
    const containers = new Map<string, SimulatedContainer>();
    const plans = new WeakMap<ContainerTask, StartPlan>();
    const built = new WeakMap<ContainerPlace, ContainerCreateOptions>();
    const functionOf = (image: string) => {
      const found = functions.get(image);
      if (found === undefined) throw new CallError("image_unknown", `Image not found: ${image}`);
      return found;
    };
    const defaults = (task: ContainerTask, place: ContainerPlace) =>
      containerOptions({
        task,
        place,
        sandbox: DEFAULT_SANDBOX,
        installation: { id: "fleet", runnerId, bootId },
        network: "",
      });
    /** Told that the function of a directory listens. */
    const watches = new Map<string, () => void>();
    const at = (directory: string) => {
      const container = containers.get(directory);
      if (container === undefined) throw new TypeError(`Cannot find a container for "${directory}"`);
      return container;
    };

    return {
      name: "docker",
      isolation: "container",
      get containers() {
        return [...containers.values()];
      },
      async prepare(task, _credentials, signal) {
        const plan = functionOf(task.image).start?.() ?? {};
        plans.set(task, plan);
        await took(clock, plan.pullMs, signal);
        return new DisposableStack();
      },
      options(task, place) {
        built.set(place, defaults(task, place));
        return defaults(task, place);
      },
      async start({ task, place, options: asked }, signal) {
        const own = built.get(place);
        if (own === undefined) throw new CallError("hook_failed", "A driver hook passed on another place than its own");
        const checked = guard.check(asked, own);
        const plan = plans.get(task) ?? {};
        await took(clock, plan.startMs, signal);
        if (plan.fate === "refused") throw new CallError("docker_unavailable");
        const removed = () => void containers.delete(place.socketDirectory);
        const container = new SimulatedContainer(place.id, task, checked, { clock, plan, removed });
        containers.set(place.socketDirectory, container);
        void container.listening.then(() => watches.get(place.socketDirectory)?.());
        return container;
      },
      contact: {
        watch(directory) {
          const { promise, resolve } = Promise.withResolvers<void>();
          watches.set(directory, resolve);
          return {
            ready: async (signal) => {
              await either(promise, signal);
              return directory;
            },
            [Symbol.dispose]: () => watches.delete(directory),
          };
        },
        connect({ socketPath }) {
          const container = at(socketPath);
          return simulatedClient(container, functionOf(container.task.image).handler, clock);
        },
      },
      async [Symbol.asyncDispose]() {
        await Promise.all([...containers.values()].map((container) => container[Symbol.asyncDispose]()));
      },
    };
  };
}

/** Lets a phase take its time. @throws CallError if the runner stops meanwhile */
async function took(clock: Clock, ms: number | undefined, signal: AbortSignal): Promise<void> {
  if (ms !== undefined && ms > 0) await pause(clock, ms, signal);
  if (signal.aborted) throw CallError.from(signal.reason, "shutting_down");
}

/** @throws the signal's reason if it aborts first */
function either(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const left = () => reject(signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason)));
    if (signal.aborted) return left();
    signal.addEventListener("abort", left, { once: true });
    void promise.then(() => {
      signal.removeEventListener("abort", left);
      resolve();
    });
  });
}
