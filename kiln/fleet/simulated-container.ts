import { pause, type Clock } from "../../core/clock.ts";
import type { ContainerTask } from "../../core/container-task.ts";
import type { ContainerCreateOptions } from "../../runner/driver/docker/docker-driver.ts";
import type { ContainerExit, HotContainer } from "../../runner/driver/driver.ts";
import { StderrTail } from "../../runner/driver/stderr-tail.ts";
import { KILLED, type StartPlan } from "./simulated-function.ts";

/** A container of a simulated fleet, with the options that overriders, hooks and the guard made of it. */
export class SimulatedContainer implements HotContainer {
  readonly id: string;
  readonly task: ContainerTask;
  readonly options: ContainerCreateOptions;
  readonly exited: Promise<ContainerExit>;
  /** Calls that reached its function, in their order. */
  readonly calls: string[] = [];
  /** Calls that are open now; more than one would break the function contract. */
  open = 0;
  readonly #exit = Promise.withResolvers<ContainerExit>();
  readonly #listens = Promise.withResolvers<void>();
  readonly #stderr = new StderrTail();
  readonly #clock: Clock;
  readonly #removeMs: number;
  readonly #removed: () => void;
  #diedMs: number | undefined;
  #frozen = false;

  constructor(
    id: string,
    task: ContainerTask,
    options: ContainerCreateOptions,
    site: { readonly clock: Clock; readonly plan: StartPlan; readonly removed: () => void },
  ) {
    this.id = id;
    this.task = task;
    this.options = options;
    this.exited = this.#exit.promise;
    this.#clock = site.clock;
    this.#removeMs = site.plan.removeMs ?? 0;
    this.#removed = site.removed;
    const { initMs = 0, fate = "listens" } = site.plan;
    if (fate === "exits") this.#clock.after(initMs, () => this.kill({ exitCode: 1, outOfMemory: false }));
    if (fate === "listens") this.#clock.after(initMs, () => this.#listens.resolve());
  }

  get alive(): boolean {
    return this.#diedMs === undefined;
  }

  /** How long it has been dead; 0 while it lives, and in the moment of its death. */
  get deadForMs(): number {
    return this.#diedMs === undefined ? 0 : this.#clock.now() - this.#diedMs;
  }

  get frozen(): boolean {
    return this.#frozen;
  }

  freeze(): Promise<void> {
    this.#frozen = true;
    return Promise.resolve();
  }

  thaw(): Promise<void> {
    this.#frozen = false;
    return Promise.resolve();
  }

  /** Resolves once its function listens. */
  get listening(): Promise<void> {
    return this.#listens.promise;
  }

  /** Lets its process end, by itself or by force. */
  kill(exit: ContainerExit = KILLED): void {
    if (this.#diedMs !== undefined) return;
    this.#diedMs = this.#clock.now();
    this.#exit.resolve(exit);
  }

  /** As if its function wrote to stderr. */
  stderr(text: string): void {
    this.#stderr.push(Buffer.from(text));
  }

  stderrTail(): string {
    return this.#stderr.text();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    if (this.#removeMs > 0) await pause(this.#clock, this.#removeMs);
    this.#removed();
  }
}
