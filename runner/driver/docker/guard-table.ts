import { deviceRequests, devices } from "./guard-devices.ts";
import {
  command,
  fixed,
  flag,
  group,
  guarded,
  integer,
  LIST,
  listable,
  MAP,
  object,
  ruled,
  text,
  texts,
  type Field,
  type GroupField,
  type Shape,
} from "./guard-field.ts";
import { binds, mounts, tmpfs } from "./guard-mounts.ts";
import {
  capAdd,
  capDrop,
  cpuShares,
  cpuTime,
  deviceCgroupRules,
  endpoints,
  groups,
  labels,
  memory,
  memorySwap,
  namespace,
  networkMode,
  oomScore,
  pids,
  runtime,
  securityOpts,
  sysctls,
  throttle,
  ulimits,
  uncovered,
  user,
  withinMemory,
} from "./guard-rules.ts";

const WINDOWS = "it means nothing on Linux";
const STREAMS = "Kiln reads the container's output in its own way";
const ports = { values: { items: object("HostIp", "HostPort") } };
const throttles = listable(throttle, { items: object("Path", "Rate") });

const mountShape: Shape = {
  items: {
    fields: {
      ...object("Target", "Source", "Type", "ReadOnly", "Consistency").fields,
      BindOptions: object(
        "Propagation",
        "NonRecursive",
        "CreateMountpoint",
        "ReadOnlyNonRecursive",
        "ReadOnlyForceRecursive",
      ),
      VolumeOptions: {
        fields: {
          ...object("NoCopy", "Subpath").fields,
          Labels: MAP,
          DriverConfig: { fields: { Name: {}, Options: MAP } },
        },
      },
      ImageOptions: object("Subpath"),
      TmpfsOptions: { fields: { ...object("SizeBytes", "Mode").fields, Options: { items: LIST } } },
    },
  },
};

const endpointShape: Shape = {
  values: {
    fields: {
      ...object("MacAddress", "GwPriority", "NetworkID", "EndpointID", "Gateway", "IPAddress", "IPPrefixLen").fields,
      ...object("IPv6Gateway", "GlobalIPv6Address", "GlobalIPv6PrefixLen").fields,
      IPAMConfig: { fields: { ...object("IPv4Address", "IPv6Address").fields, LinkLocalIPs: LIST } },
      Links: LIST,
      Aliases: LIST,
      DNSNames: LIST,
      DriverOpts: MAP,
    },
  },
};

const resources: GroupField["group"] = {
  CpuShares: listable(cpuShares),
  Memory: ruled(memory),
  NanoCpus: listable(cpuTime),
  CgroupParent: guarded("the container's limits would be another group's"),
  BlkioWeight: integer(0, 1_000),
  BlkioWeightDevice: listable(throttle, { items: object("Path", "Weight") }),
  BlkioDeviceReadBps: throttles,
  BlkioDeviceWriteBps: throttles,
  BlkioDeviceReadIOps: throttles,
  BlkioDeviceWriteIOps: throttles,
  CpuPeriod: listable(cpuTime),
  CpuQuota: listable(cpuTime),
  CpuRealtimePeriod: guarded("real-time tasks can starve the host"),
  CpuRealtimeRuntime: guarded("real-time tasks can starve the host"),
  CpusetCpus: text,
  CpusetMems: text,
  Devices: listable(devices, { items: object("PathOnHost", "PathInContainer", "CgroupPermissions") }),
  DeviceCgroupRules: listable(deviceCgroupRules, LIST),
  DeviceRequests: listable(deviceRequests, {
    items: {
      fields: { ...object("Driver", "Count").fields, DeviceIDs: LIST, Capabilities: { items: LIST }, Options: MAP },
    },
  }),
  DiskQuota: fixed("the Engine no longer knows it"),
  KernelMemory: fixed("the Engine no longer knows it"),
  KernelMemoryTCP: fixed("the Engine no longer knows it"),
  MemoryReservation: ruled(withinMemory),
  MemorySwap: ruled(memorySwap),
  MemorySwappiness: integer(0, 100),
  OomKillDisable: guarded("a container out of memory would hang"),
  Init: flag,
  PidsLimit: ruled(pids),
  Ulimits: ruled(ulimits, { items: object("Name", "Soft", "Hard") }),
  CpuCount: fixed(WINDOWS),
  CpuPercent: fixed(WINDOWS),
  IOMaximumIOps: fixed(WINDOWS),
  IOMaximumBandwidth: fixed(WINDOWS),
};

const hostConfig = group({
  ...resources,
  Binds: ruled(binds, LIST),
  ContainerIDFile: fixed("the daemon would write to a file of the host"),
  LogConfig: guarded("output goes where the function's app says", { fields: { Type: {}, Config: MAP } }),
  NetworkMode: ruled(networkMode),
  PortBindings: guarded("no port of the host is a function's", ports),
  RestartPolicy: fixed("Kiln ends containers, and they stay so", object("Name", "MaximumRetryCount")),
  AutoRemove: fixed("Kiln removes containers itself"),
  VolumeDriver: fixed("a volume's driver can name any path of the host"),
  VolumesFrom: fixed("other containers' mounts are theirs", LIST),
  Mounts: ruled(mounts, mountShape),
  ConsoleSize: fixed("there is no terminal", LIST),
  Annotations: guarded("a runtime may take orders from them", MAP),
  CapAdd: listable(capAdd, LIST),
  CapDrop: listable(capDrop, LIST),
  CgroupnsMode: ruled(namespace("cgroup", ["private"])),
  Dns: texts,
  DnsOptions: texts,
  DnsSearch: texts,
  ExtraHosts: guarded("a name could be made to mean another host", LIST),
  GroupAdd: listable(groups, LIST),
  IpcMode: ruled(namespace("ipc", ["private", "none"])),
  Cgroup: fixed("another container's limits are its own"),
  Links: fixed("functions do not know other containers", LIST),
  OomScoreAdj: listable(oomScore),
  PidMode: ruled(namespace("pid", ["", "private"])),
  Privileged: guarded("it would own the host"),
  PublishAllPorts: guarded("no port of the host is a function's"),
  ReadonlyRootfs: guarded("what is written there fills the host's disk"),
  SecurityOpt: listable(securityOpts, LIST),
  StorageOpt: guarded("what is written there fills the host's disk", MAP),
  Tmpfs: listable(tmpfs, MAP),
  UTSMode: ruled(namespace("uts", ["", "private"])),
  UsernsMode: ruled(namespace("user", ["", "private"])),
  ShmSize: ruled(withinMemory),
  Sysctls: listable(sysctls, MAP),
  Runtime: ruled(runtime),
  Umask: integer(0, 0o777),
  Isolation: fixed(WINDOWS),
  // Empty is not absent here: it uncovers all that Docker hides by itself.
  MaskedPaths: listable(uncovered, LIST),
  ReadonlyPaths: listable(uncovered, LIST),
});

/** Every field of the Engine's create call, and what hooks may make of it. A field that is not in here is refused. */
export const GUARD_TABLE = group({
  name: fixed("the name is Kiln's"),
  platform: fixed("the image is the function's"),
  Hostname: text,
  Domainname: text,
  User: ruled(user),
  AttachStdin: fixed(STREAMS),
  AttachStdout: fixed(STREAMS),
  AttachStderr: fixed(STREAMS),
  ExposedPorts: guarded("no port is a function's", { values: { fields: {} } }),
  Tty: fixed(STREAMS),
  OpenStdin: fixed(STREAMS),
  StdinOnce: fixed(STREAMS),
  Env: texts,
  Cmd: command,
  Healthcheck: guarded("the daemon would run it beside the calls", {
    fields: { Test: LIST, ...object("Interval", "Timeout", "Retries", "StartPeriod", "StartInterval").fields },
  }),
  ArgsEscaped: fixed(WINDOWS),
  Image: fixed("the image is the function's"),
  Volumes: fixed("a volume is on the host's disk, without a quota", { values: { fields: {} } }),
  WorkingDir: text,
  Entrypoint: command,
  NetworkDisabled: flag,
  MacAddress: fixed("a container's address is Docker's to give"),
  OnBuild: fixed("it means nothing for a container", LIST),
  Labels: ruled(labels, MAP),
  StopSignal: text,
  StopTimeout: integer(0, 3_600),
  Shell: texts,
  HostConfig: hostConfig,
  NetworkingConfig: group({ EndpointsConfig: ruled(endpoints, endpointShape) }),
});

/** Fields that the allow-list may name whole. */
export function listableFields(): readonly string[] {
  return listableIn("", GUARD_TABLE);
}

function listableIn(prefix: string, { group: fields }: GroupField): readonly string[] {
  return Object.entries(fields).flatMap(([name, field]: [string, Field]) => {
    if ("group" in field) return listableIn(`${prefix}${name}.`, field);
    return field.listable ? [`${prefix}${name}`] : [];
  });
}
