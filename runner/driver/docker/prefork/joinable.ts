import type { ContainerCreateOptions } from "dockerode";

/** What Docker refuses, or what would change another's namespace, where a container joins one. */
const FIELDS = ["Hostname", "Domainname", "MacAddress", "ExposedPorts"] as const;
const HOST_FIELDS = [
  "Dns",
  "DnsOptions",
  "DnsSearch",
  "ExtraHosts",
  "Links",
  "PortBindings",
  "PublishAllPorts",
] as const;

/** Whether a container may join a holder's network namespace: its network is the driver's choice, and it asks for nothing there. */
export function isJoinable(options: ContainerCreateOptions, built: ContainerCreateOptions): boolean {
  const host = options.HostConfig ?? {};
  const network = host.NetworkMode;
  if (network === "none" || network !== built.HostConfig?.NetworkMode || options.NetworkDisabled === true) return false;
  if (FIELDS.some((field) => says(options[field])) || HOST_FIELDS.some((field) => says(host[field]))) return false;
  if (says(options.NetworkingConfig?.EndpointsConfig) || host.UTSMode === "host") return false;
  return !Object.keys(host.Sysctls ?? {}).some((name) => name.startsWith("net."));
}

function says(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.keys(value).length > 0;
  return value !== undefined && value !== null && value !== "" && value !== false;
}
