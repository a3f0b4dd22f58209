import {
  isInteger,
  isList,
  isObject,
  member,
  members,
  objection,
  saysNothing,
  shown,
  strings,
  type Asked,
  type Objection,
  type Rule,
} from "./guard-field.ts";
import type { GuardPermits } from "./guard-permits.ts";
import type { Plain } from "./plain-data.ts";

const MIB = 1_048_576;
const OUR_LABELS = "kiln.";

/** A list whose built items stay, and whose other items are each allowed. */
const additions =
  (what: string, allowed: (permits: GuardPermits) => readonly string[], entry: string): Rule =>
  (asked) => {
    const items = strings(asked.value);
    if (items === undefined) return objection(asked, "expected a list of strings");
    const own = strings(asked.built) ?? [];
    const dropped = own.find((item) => !items.includes(item));
    if (dropped !== undefined) return objection(asked, `"${dropped}" may not be dropped`);
    const extra = items.find((item) => !own.includes(item) && !allowed(asked.permits).includes(item));
    return extra === undefined
      ? undefined
      : objection(asked, `${what} "${extra}" is not allowed`, `${entry}: ["${extra}"]`);
  };

export const securityOpts = additions("option", (permits) => permits.securityOpts, "securityOpts");
export const groups = additions("group", (permits) => permits.groups, "groups");
export const deviceCgroupRules = additions("rule", (permits) => permits.deviceCgroupRules, "deviceCgroupRules");

/** More may be dropped than the driver does; less not. */
export const capDrop: Rule = (asked) => {
  const items = strings(asked.value);
  const kept = items !== undefined && (strings(asked.built) ?? []).every((item) => items.includes(item));
  return kept ? undefined : objection(asked, "no capability may be kept", `fields: [${asked.path}]`);
};

export const capAdd: Rule = (asked) => {
  const items = strings(asked.value);
  if (items === undefined) return objection(asked, "expected a list of strings");
  const allowed = new Set(asked.permits.capabilities.map(capability));
  const extra = items.map(capability).find((item) => !allowed.has(item));
  return extra === undefined
    ? undefined
    : objection(asked, `capability ${extra} is not allowed`, `capabilities: [${extra}]`);
};

function capability(name: string): string {
  return name.toUpperCase().replace(/^CAP_/, "");
}

export const labels: Rule = (asked) => {
  const texts = members(asked.value).every(([, value]) => typeof value === "string");
  if (!texts || (asked.value !== undefined && !isObject(asked.value)))
    return objection(asked, "expected texts by name");
  const names = new Set([...members(asked.value), ...members(asked.built)].map(([name]) => name));
  for (const name of names) {
    const same = member(asked.value, name) === member(asked.built, name);
    const ours = name.startsWith(OUR_LABELS) || member(asked.built, name) !== undefined;
    if (ours && !same) return objection(asked, `label "${name}" is Kiln's own`);
  }
  return undefined;
};

const oneOf =
  (what: string, allowed: (permits: GuardPermits) => readonly string[], entry: string): Rule =>
  (asked) => {
    const value = asked.value ?? "";
    if (saysNothing(asked) || (typeof value === "string" && allowed(asked.permits).includes(value))) return undefined;
    return objection(asked, `this ${what} is not allowed`, `${entry}: [${JSON.stringify(value)}]`);
  };

export const user = oneOf("user", (permits) => permits.users, "users");
export const runtime = oneOf("runtime", (permits) => permits.runtimes, "runtimes");

type HostNamespace = GuardPermits["hostNamespaces"][number];

/** A namespace of the container's own. The host's may be allowed, another container's never. */
export const namespace =
  (kind: HostNamespace, own: readonly string[]): Rule =>
  (asked) => {
    const value = asked.value ?? "";
    if (typeof value === "string" && own.includes(value)) return undefined;
    if (value === "host") return hostNamespace(asked, kind);
    return objection(asked, `a container keeps its own ${kind} namespace, shared with no other`);
  };

function hostNamespace(asked: Asked, kind: HostNamespace): Objection | undefined {
  if (asked.permits.hostNamespaces.includes(kind)) return undefined;
  return objection(asked, `the host's ${kind} namespace is not allowed`, `hostNamespaces: [${kind}]`);
}

export const networkMode: Rule = (asked) => {
  const { value, permits } = asked;
  if (value === "none") return undefined;
  if (value === "host") return hostNamespace(asked, "network");
  if (typeof value !== "string") return objection(asked, "expected the name of a network");
  if (value.startsWith("container:")) return objection(asked, "another container's network namespace is not shared");
  return permits.networks.includes(value)
    ? undefined
    : objection(asked, `network "${value}" is not allowed`, `networks: ["${value}"]`);
};

/** A container joins allowed networks, and says nothing about its addresses and names there. */
export const endpoints: Rule = (asked) => {
  const own = member(asked.builtOptions["HostConfig"], "NetworkMode");
  for (const [network, settings] of members(asked.value)) {
    if (network !== own && !asked.permits.networks.includes(network)) {
      return objection(asked, `network "${network}" is not allowed`, `networks: ["${network}"]`);
    }
    const said = members(settings).find(([name]) => name !== "GwPriority");
    if (said !== undefined) return objection(asked, `${said[0]} may not be set`);
  }
  return isObject(asked.value) || asked.value === undefined
    ? undefined
    : objection(asked, "expected settings by network");
};

export const sysctls: Rule = (asked) => {
  const extra = members(asked.value).find(([name]) => !asked.permits.sysctls.includes(name));
  if (!isObject(asked.value))
    return asked.value === undefined ? undefined : objection(asked, "expected values by name");
  return extra === undefined
    ? undefined
    : objection(asked, `sysctl "${extra[0]}" is not allowed`, `sysctls: [${extra[0]}]`);
};

/** Bytes of memory: what the function has, or up to the allow-list's range; never unlimited. */
export const memory: Rule = (asked) => {
  const own = typeof asked.built === "number" ? asked.built : 0;
  const most = Math.max(own, (asked.permits.ranges.memoryMiB?.max ?? 0) * MIB);
  if (isInteger(asked.value, 1, most)) return undefined;
  const wanted = typeof asked.value === "number" && asked.value > 0 ? Math.ceil(asked.value / MIB) : undefined;
  const permit = wanted === undefined ? undefined : `ranges: { memoryMiB: { max: ${wanted} } }`;
  return objection(asked, `expected 1 to ${most} bytes`, permit);
};

/** Memory and swap together. Left alone, it follows the memory. */
export const memorySwap: Rule = (asked) => {
  const memoryBytes = member(asked.options["HostConfig"], "Memory");
  if (asked.value !== undefined && asked.value === memoryBytes) return undefined;
  return objection(asked, "expected the same as HostConfig.Memory, for functions do not swap");
};

/** A soft limit, and the size of /dev/shm: no more than the memory that counts for them. */
export const withinMemory: Rule = (asked) => {
  const most = member(asked.options["HostConfig"], "Memory");
  if (asked.value === undefined || (typeof most === "number" && isInteger(asked.value, 0, most))) return undefined;
  return objection(asked, "expected no more than HostConfig.Memory");
};

export const pids: Rule = (asked) => {
  const most = Math.max(typeof asked.built === "number" ? asked.built : 0, asked.permits.ranges.pids?.max ?? 0);
  if (isInteger(asked.value, 1, most)) return undefined;
  const permit = isInteger(asked.value, 1, Infinity) ? `ranges: { pids: { max: ${asked.value} } }` : undefined;
  return objection(asked, `expected 1 to ${most} processes`, permit);
};

export const cpuShares: Rule = (asked) => {
  const { min, max } = asked.permits.ranges.cpuShares ?? { min: 2, max: 262_144 };
  if (asked.value === undefined || asked.value === 0 || isInteger(asked.value, min, max)) return undefined;
  return objection(asked, `expected an integer from ${min} to ${max}`);
};

/** A quota may be set where there is none, and lowered where there is one; three fields say it, two ways. */
export const cpuTime: Rule = (asked) => {
  const [most, cores] = [coresOf(asked.builtOptions["HostConfig"]), coresOf(asked.options["HostConfig"])];
  if (asked.value !== undefined && !isInteger(asked.value, -1, Number.MAX_SAFE_INTEGER)) {
    return objection(asked, "expected an integer");
  }
  if (cores <= most) return undefined;
  return objection(asked, `expected no more than the ${most} cores of the function`, `fields: [${asked.path}]`);
};

/** The Engine's period where none is given, microseconds. */
const CPU_PERIOD_US = 100_000;

function coresOf(host: Plain | undefined): number {
  const [nano, quota, period] = ["NanoCpus", "CpuQuota", "CpuPeriod"].map((name) => Number(member(host, name) ?? 0));
  if (nano !== undefined && nano > 0) return nano / 1e9;
  if (quota !== undefined && quota > 0) return quota / (period || CPU_PERIOD_US);
  return Infinity;
}

/** Every built limit stays or is lowered; others, and more, only in an allowed range. */
export const ulimits: Rule = (asked) => {
  const list = asked.value === undefined ? [] : asked.value;
  if (!isList(list)) return objection(asked, "expected a list of limits");
  const built = isList(asked.built) ? asked.built : [];
  const own = new Map(built.map((limit) => [member(limit, "Name"), member(limit, "Hard")]));
  const dropped = [...own.keys()].find((name) => !list.some((limit) => member(limit, "Name") === name));
  if (dropped !== undefined) return objection(asked, `limit ${shown(dropped)} may not be dropped`);
  for (const limit of list) {
    const name = member(limit, "Name");
    const hard = own.get(name);
    const range = typeof name === "string" ? asked.permits.ranges.ulimits[name]?.max : undefined;
    const most = Math.max(typeof hard === "number" ? hard : -1, range ?? -1);
    if (isInteger(member(limit, "Soft"), 0, most) && isInteger(member(limit, "Hard"), 0, most)) continue;
    const permit = `ranges: { ulimits: { ${shown(name)}: { max: ${shown(member(limit, "Hard"))} } } }`;
    return objection(asked, `limit ${shown(name)} is not allowed, or not this high`, permit);
  }
  return undefined;
};

/** Limits of disk throughput: more of them is less for the container. */
export const throttle: Rule = (asked) => {
  const list = asked.value ?? [];
  const numbers =
    isList(list) && list.every((each) => isInteger(member(each, "Rate") ?? member(each, "Weight"), 0, Infinity));
  return numbers ? undefined : objection(asked, "expected a list of devices, each with its rate or weight");
};

/** A container may volunteer to be killed first, not to be spared. */
export const oomScore: Rule = (asked) =>
  asked.value === undefined || isInteger(asked.value, 0, 1_000)
    ? undefined
    : objection(asked, "expected 0 to 1000", `fields: [${asked.path}]`);

/** The daemon's own list is the longest; one of ours can only be shorter. */
export const uncovered: Rule = (asked) =>
  objection(asked, "what Docker hides or protects stays so", `fields: [${asked.path}]`);
