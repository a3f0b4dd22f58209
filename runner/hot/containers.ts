import { CallError } from "../../core/call-error.ts";
import type { Log } from "../../core/log.ts";
import type { RunnerMetrics } from "../runner-metrics.ts";
import type { SlotTable } from "../slots/slot-table.ts";
import type { LaunchTicket } from "../slots/slot.ts";
import type { HotFunction } from "./hot-function.ts";
import type { Launch, PreparedLaunch } from "./launch.ts";

export interface ContainersOptions {
  readonly launch: Launch;
  readonly slots: Pick<SlotTable<HotFunction>, "prepared" | "launched" | "launchFailed" | "died" | "gone">;
  /** Aborts when the runner stops. */
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly count: Pick<RunnerMetrics, "started" | "startFailed" | "removed">;
}

/** Starts and removes what the slot table wants started and removed, and reports back to it. Nothing here rejects. */
export class Containers {
  readonly #options: ContainersOptions;
  /** Those that wait for their turn. */
  readonly #prepared = new Map<LaunchTicket, PreparedLaunch>();

  constructor(options: ContainersOptions) {
    this.#options = options;
  }

  async prepare(ticket: LaunchTicket): Promise<void> {
    const { launch, slots, signal } = this.#options;
    const { task, registryToken } = ticket.request;
    try {
      this.#prepared.set(ticket, await launch(task, { registryToken }, signal));
    } catch (error) {
      return this.#failed(ticket, error);
    }
    slots.prepared(ticket);
  }

  async start(ticket: LaunchTicket): Promise<void> {
    const { slots, signal, count } = this.#options;
    try {
      const started = await this.#take(ticket).start(signal);
      count.started(started.launchTimings);
      void started.container.exited.then(() => slots.died(started));
      slots.launched(ticket, started);
    } catch (error) {
      this.#failed(ticket, error);
    }
  }

  /** It is not started after all. */
  drop(ticket: LaunchTicket): void {
    this.#take(ticket)[Symbol.dispose]();
  }

  async remove(hot: HotFunction, why: string): Promise<void> {
    const { slots, log, count } = this.#options;
    log.debug("Removing container", { container: hot.container.id, fn_id: hot.task.fnId, why });
    count.removed(why);
    try {
      await hot.remove();
    } catch (error) {
      log.error("Container could not be removed", { container: hot.container.id, reason: error });
    }
    slots.gone(hot);
  }

  #take(ticket: LaunchTicket): PreparedLaunch {
    const prepared = this.#prepared.get(ticket);
    if (prepared === undefined) throw new TypeError("Cannot start a container that was not prepared");
    this.#prepared.delete(ticket);
    return prepared;
  }

  #failed(ticket: LaunchTicket, error: unknown): void {
    const { slots, log, count } = this.#options;
    const { fnId, image } = ticket.request.task;
    const reason = CallError.from(unsuppressed(error), "runner_internal");
    log.warn("Container failed to start", { fn_id: fnId, image, reason });
    count.startFailed(reason.code);
    slots.launchFailed(ticket, reason);
  }
}

/** What went wrong first, where its cleaning up went wrong as well. */
function unsuppressed(error: unknown): unknown {
  return error instanceof SuppressedError ? unsuppressed(error.suppressed) : error;
}
