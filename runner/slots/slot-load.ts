import type { IdleContainers } from "./idle-containers.ts";
import type { SlotQueues } from "./slot-queues.ts";

/** What gateways are told of slots. */
export interface SlotLoad {
  /** Idle containers by affinity key. */
  readonly idle: ReadonlyMap<string, number>;
  /** Calls that containers could take besides those they run, and those on their way besides those that wait. As above. */
  readonly spareSlots: ReadonlyMap<string, number>;
  /** Containers on their way. */
  readonly starting: number;
  /** Calls that wait for a slot. */
  readonly waiting: number;
  /** Calls that have one. */
  readonly running: number;
}

export function slotLoad<C>(
  queues: SlotQueues<C>,
  idle: IdleContainers<C>,
  { starting, running }: Pick<SlotLoad, "starting" | "running">,
): SlotLoad {
  const spareSlots = new Map<string, number>();
  let waiting = 0;
  for (const queue of queues.astir()) {
    waiting += queue.waiting.length;
    const { affinityKey } = queue.latest;
    const spare = queue.spareSlots + queue.slotsToCome;
    if (spare > 0) spareSlots.set(affinityKey, (spareSlots.get(affinityKey) ?? 0) + spare);
  }
  return { idle: idle.counts, spareSlots, starting, waiting, running };
}
