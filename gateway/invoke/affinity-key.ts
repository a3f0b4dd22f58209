import type { Call } from "../../core/call.ts";
import { containerTask, slotKey, type ContainerTask } from "../../core/container-task.ts";

interface Kept {
  /** Not the call, whose headers and token must not outlive it. */
  readonly task: ContainerTask;
  readonly key: string;
}

/** Variants of one function whose keys are kept: plans, sizes, tenants. */
const MOST_KEPT = 16;

/** A function's calls share their config object, and so find each other's keys. */
const kept = new WeakMap<object, Kept[]>();

/** Equal for calls that can share a hot container. Hashing takes longer than all else here, so keys are kept. */
export function affinityKey(call: Call): string {
  let variants = kept.get(call.config);
  if (variants === undefined) kept.set(call.config, (variants = []));
  const before = variants.find((variant) => alike(variant.task, call));
  if (before !== undefined) return before.key;
  const task = containerTask(call);
  const key = slotKey(task);
  if (variants.length >= MOST_KEPT) variants.shift();
  variants.push({ task, key });
  return key;
}

/** Whether a call with the same config object makes this task. */
function alike(a: ContainerTask, b: Call): boolean {
  return (
    a.fnId === b.fnId &&
    a.fnName === b.fnName &&
    a.appId === b.appId &&
    a.appName === b.appName &&
    a.image === b.image &&
    a.memoryMiB === b.memoryMiB &&
    a.cpuMillis === b.cpuMillis &&
    a.tmpfsMiB === b.tmpfsMiB &&
    a.timeoutMs === b.timeoutMs &&
    a.idleTimeoutMs === b.idleTimeoutMs &&
    a.concurrency === b.concurrency &&
    a.maxCalls === b.maxCalls &&
    a.annotations === b.annotations &&
    a.syslogUrl === b.syslogUrl &&
    a.networkDisabled === b.networkDisabled &&
    sameEntries(a.extensions, b.extensions)
  );
}

function sameEntries(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  if (a === b) return true;
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}
