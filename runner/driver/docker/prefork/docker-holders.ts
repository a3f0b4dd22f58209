import type { Clock } from "../../../../core/clock.ts";
import type { Log } from "../../../../core/log.ts";
import type { ContainerEngine } from "../container-engine.ts";
import { exitCodeOf } from "../container-exit.ts";
import type { Installation } from "../container-options.ts";
import { networkTrouble } from "../networks/network-trouble.ts";
import { holderOptions, type HolderProgram } from "./holder-options.ts";
import type { PreforkPool } from "./pool.ts";

export interface HoldersDependencies {
  readonly engine: ContainerEngine;
  readonly installation: Installation;
  readonly clock: Clock;
  readonly log: Log;
  readonly program: () => Promise<HolderProgram>;
  /** What fails after it has aborted is no trouble. */
  readonly closing: AbortSignal;
  readonly answer: () => Pick<PreforkPool, "initialised" | "started" | "failed" | "ended" | "removed">;
}

interface Container {
  readonly id: string;
  /** Aborts when this container is nobody's any more, or this run of it is over. */
  run: AbortController;
}

/** The pool's holders as Docker containers: does what the pool wants, one thing at a time for each, and answers it. */
export class DockerHolders {
  readonly #dependencies: HoldersDependencies;
  readonly #containers = new Map<number, Container>();
  readonly #ids = new Set<string>();
  #program: Promise<HolderProgram> | undefined;
  #troubled = false;

  constructor(dependencies: HoldersDependencies) {
    this.#dependencies = dependencies;
  }

  has(containerId: string): boolean {
    return this.#ids.has(containerId);
  }

  id(holder: number): string {
    return this.#container(holder).id;
  }

  initialise(holder: number, network: string): void {
    this.#try(holder, "create", async () => {
      const { engine, installation, answer } = this.#dependencies;
      await this.#removeContainer(holder);
      const options = holderOptions(this.#name(holder), network, await this.#image(), installation);
      const id = await engine.create(options);
      this.#containers.set(holder, { id, run: new AbortController() });
      this.#ids.add(id);
      answer().initialised(holder);
    });
  }

  start(holder: number): void {
    this.#try(holder, "start", async () => {
      const { engine, clock, answer } = this.#dependencies;
      const container = this.#container(holder);
      const gone = (container.run = new AbortController());
      // Before the start: an end right after it would be missed.
      const watch = await engine.watch(container.id, "next-exit", gone.signal);
      const ended = exitCodeOf(container.id, watch, { engine, clock, gone: gone.signal });
      await engine.start(container.id);
      this.#troubled = false;
      answer().started(holder);
      void ended.then(() => {
        if (!gone.signal.aborted) answer().ended(holder);
      });
    });
  }

  kill(holder: number): void {
    this.#try(holder, "kill", () => this.#dependencies.engine.kill(this.#container(holder).id));
  }

  remove(holder: number): void {
    const removed = async () => {
      try {
        await this.#removeContainer(holder);
      } catch (error) {
        const name = this.#name(holder);
        this.#dependencies.log.error("Prefork holder is left behind until the next start", { name, error });
      }
      this.#dependencies.answer().removed(holder);
    };
    void removed();
  }

  async #removeContainer(holder: number): Promise<void> {
    const container = this.#containers.get(holder);
    container?.run.abort();
    await this.#dependencies.engine.remove(this.#name(holder));
    this.#containers.delete(holder);
    if (container !== undefined) this.#ids.delete(container.id);
  }

  #try(holder: number, what: string, work: () => Promise<void>): void {
    work().catch((error: unknown) => {
      this.#containers.get(holder)?.run.abort();
      const trouble = networkTrouble(error);
      if (trouble === undefined && !this.#dependencies.closing.aborted) this.#tell(what, error);
      this.#dependencies.answer().failed(holder, trouble);
    });
  }

  /** Loudly once: what does not work is tried again and again. */
  #tell(what: string, error: unknown): void {
    this.#program = undefined;
    const { log } = this.#dependencies;
    const text = `Prefork pool cannot ${what} a holder: functions start without one meanwhile`;
    if (this.#troubled) log.debug(text, { error });
    else log.error(text, { error });
    this.#troubled = true;
  }

  #image(): Promise<HolderProgram> {
    return (this.#program ??= this.#dependencies.program());
  }

  #name(holder: number): string {
    return `kiln-prefork-${this.#dependencies.installation.bootId}-${holder}`;
  }

  #container(holder: number): Container {
    const container = this.#containers.get(holder);
    if (container === undefined) throw new RangeError(`Cannot find the container of holder ${holder}`);
    return container;
  }
}
