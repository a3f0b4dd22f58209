import { isDeepStrictEqual } from "node:util";

import type { Call } from "../../core/call.ts";
import { containerTask, slotKey, type ContainerTask, type SlotKey } from "../../core/container-task.ts";

/** A call's task with its key. */
export interface KeyedTask {
  readonly task: ContainerTask;
  readonly key: SlotKey;
}

interface Kept extends KeyedTask {
  readonly config: Call["config"];
}

/** Functions, and variants of them, whose keys are kept. */
const MOST_KEPT = 10_000;

/**
 * Tasks and their keys, kept from one call to the next, as hashing takes longer than all else that chooses a slot.
 * What the gateway calls alike is only where to look: a key is used again for an equal task and for no other.
 */
export class TaskCache {
  readonly #kept = new Map<string, Kept>();

  of(call: Call, affinityKey: string): KeyedTask {
    const before = this.#kept.get(affinityKey);
    if (before !== undefined && makesTask(call, before)) return before;
    const task = frozen(containerTask(call));
    const made = { task, key: slotKey(task), config: call.config };
    if (this.#kept.size >= MOST_KEPT) this.#forgetOldest();
    this.#kept.set(affinityKey, made);
    return made;
  }

  #forgetOldest(): void {
    for (const oldest of this.#kept.keys()) return void this.#kept.delete(oldest);
  }
}

/** Calls share it: a hook that writes into it gets an error, and no later container what it wrote. */
function frozen(task: ContainerTask): ContainerTask {
  for (const part of [task.env, task.extensions, task.annotations]) Object.freeze(part);
  return Object.freeze(task);
}

/** Whether the call's own task would be this one. */
function makesTask(call: Call, { task, config }: Kept): boolean {
  return (
    call.fnId === task.fnId &&
    call.fnName === task.fnName &&
    call.appId === task.appId &&
    call.appName === task.appName &&
    call.image === task.image &&
    call.memoryMiB === task.memoryMiB &&
    call.cpuMillis === task.cpuMillis &&
    call.tmpfsMiB === task.tmpfsMiB &&
    call.timeoutMs === task.timeoutMs &&
    call.idleTimeoutMs === task.idleTimeoutMs &&
    call.concurrency === task.concurrency &&
    call.maxCalls === task.maxCalls &&
    call.syslogUrl === task.syslogUrl &&
    call.networkDisabled === task.networkDisabled &&
    sameStrings(call.config, config) &&
    sameStrings(call.extensions, task.extensions) &&
    isDeepStrictEqual(call.annotations, task.annotations)
  );
}

function sameStrings(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}
