import assert from "node:assert/strict";

import type { CallError } from "../../core/call-error.ts";
import type { Call } from "../../core/call.ts";
import { containerTask, slotKey } from "../../core/container-task.ts";
import { Resources } from "../../runner/slots/resources.ts";
import { SlotTable } from "../../runner/slots/slot-table.ts";
import type {
  Acquired,
  LaunchTicket,
  Slot,
  SlotEffects,
  SlotLimits,
  SlotRequest,
  SlotWaiter,
} from "../../runner/slots/slot.ts";
import { callFor } from "./call-for.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** A call that remembers what it heard, and minds if it hears more than it should. */
export class SlotCaller implements SlotWaiter<string> {
  slot: Slot<string> | undefined;
  reason: CallError | undefined;
  /** It was told that a container is started for it. */
  waited = false;
  readonly source: object;

  constructor(source: object) {
    this.source = source;
  }

  get container(): string | undefined {
    return this.slot?.container;
  }

  granted(slot: Slot<string>): void {
    assert.ok(this.slot === undefined && this.reason === undefined, "told once");
    this.slot = slot;
  }

  failed(reason: CallError): void {
    assert.ok(this.slot === undefined && this.reason === undefined, "told once");
    this.reason = reason;
  }

  waits(): void {
    this.waited = true;
  }
}

interface Asked {
  readonly caller: SlotCaller;
  readonly acquired: Acquired<string>;
}

export interface SlotBenchOptions extends Partial<SlotLimits> {
  readonly memoryMiB?: number;
  /** False: images are there when the test says so. */
  readonly imagesAtHand?: boolean;
}

/** A slot table in virtual time, with containers that are only names. */
export class SlotBench {
  readonly clock = new VirtualClock();
  readonly resources: Resources;
  readonly table: SlotTable<string>;
  /** Starts that wait for their images, where those are not at hand. */
  readonly preparing: LaunchTicket[] = [];
  /** Starts whose turn has come. */
  readonly launches: LaunchTicket[] = [];
  /** Starts that nobody needed any more when their turn came, or before. */
  readonly dropped: LaunchTicket[] = [];
  /** What was wanted of containers, in its order. */
  readonly wanted: string[] = [];
  /** Why no container can be started, if so. */
  trouble: CallError | undefined;
  #started = 0;

  constructor(options: SlotBenchOptions = {}) {
    const { memoryMiB = 1_000, imagesAtHand = true, ...limits } = options;
    this.resources = new Resources({ memoryMiB, cpuMillis: 1_000 });
    const effects: SlotEffects<string> = {
      prepare: (ticket) => (imagesAtHand ? this.table.prepared(ticket) : void this.preparing.push(ticket)),
      start: (ticket) => {
        this.#started += 1;
        this.launches.push(ticket);
      },
      drop: (ticket) => void this.dropped.push(ticket),
      remove: (container, why) => void this.wanted.push(`remove ${container}: ${why}`),
      freeze: (container) => void this.wanted.push(`freeze ${container}`),
      thaw: (container) => void this.wanted.push(`thaw ${container}`),
      trouble: () => this.trouble,
      changed() {},
    };
    const defaults = { freezeIdleMs: -1, startsAtOnce: 100, slotWaitMs: 0, mostWaiting: 1_000 };
    this.table = new SlotTable(this.resources, effects, this.clock, { ...defaults, ...limits });
  }

  /** Starts whose turn ever came. */
  get started(): number {
    return this.#started;
  }

  /** @param source - whose call it is, if not everybody's */
  ask(name: string, changes: Partial<Call> = {}, source: object = this): Asked {
    const caller = new SlotCaller(source);
    const acquired = this.table.acquire(slotRequest(name, changes), caller);
    if (acquired.kind === "slot") caller.slot = acquired.slot;
    return { caller, acquired };
  }

  /** The start whose turn came first has succeeded. */
  launched(container: string): void {
    this.table.launched(this.launches.shift() ?? assert.fail("a start was wanted"), container);
  }

  launchFailed(reason: CallError): void {
    this.table.launchFailed(this.launches.shift() ?? assert.fail("a start was wanted"), reason);
  }

  release({ slot }: SlotCaller, broken = false): void {
    this.table.release(slot ?? assert.fail("it has a slot"), broken);
  }

  /** An idle container for `name`. */
  warm(name: string, container: string, changes: Partial<Call> = {}): void {
    const { caller } = this.ask(name, changes);
    this.table.launched(this.launches.pop() ?? assert.fail("a start was wanted"), container);
    this.release(caller);
  }

  /** A container that runs a call for `name`. */
  busy(name: string, container: string, changes: Partial<Call> = {}): SlotCaller {
    const { caller } = this.ask(name, changes);
    this.table.launched(this.launches.pop() ?? assert.fail("a start was wanted"), container);
    assert.equal(caller.container, container);
    return caller;
  }
}

export const SLOT_IDLE_MS = 1_000;

export function slotRequest(name: string, changes: Partial<Call> = {}): SlotRequest {
  const call = callFor(name, { memoryMiB: 100, idleTimeoutMs: SLOT_IDLE_MS, ...changes });
  const task = containerTask(call);
  const { minContainers, maxContainers } = call;
  const booking = { memoryMiB: task.memoryMiB + task.tmpfsMiB, cpuMillis: task.cpuMillis };
  return { task, key: slotKey(task), affinityKey: name, booking, registryToken: "", minContainers, maxContainers };
}
