import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { ContainerCreateOptions, HostConfig } from "dockerode";

import { optionSources } from "../../../../kiln/testing/option-sources.ts";
import { containerOptions } from "../../../../runner/driver/docker/container-options.ts";
import { guardPermits } from "../../../../runner/driver/docker/guard-permits.ts";
import { GUARD_TABLE } from "../../../../runner/driver/docker/guard-table.ts";
import { createGuard } from "../../../../runner/driver/docker/guard.ts";

const MIB = 1_048_576;
const task = { memoryMiB: 128, cpuMillis: 500 };
const options = (): ContainerCreateOptions => containerOptions(optionSources({ task }));

/** What the guard says of the driver's options after this change; undefined where it lets it pass. */
function verdict(change: (options: ContainerCreateOptions, host: HostConfig) => unknown, allowed: object = {}) {
  const asked = options();
  assert.ok(asked.HostConfig !== undefined);
  change(asked, asked.HostConfig);
  const guard = createGuard(() => guardPermits.parse(allowed));
  try {
    guard.check(asked, options());
    return undefined;
  } catch (error) {
    assert.ok(error instanceof Error && "code" in error && error.code === "guard_refused", String(error));
    return error.message;
  }
}

/** The same for one field that a hook sets. */
const setting = (field: string, value: unknown, allowed: object = {}) =>
  verdict((all, host) => {
    const [inner, name] = field.startsWith("HostConfig.") ? [host, field.slice("HostConfig.".length)] : [all, field];
    Object.assign(inner, { [name]: value });
  }, allowed);

describe("the guard", () => {
  it("lets the driver's own options pass, as a copy", () => {
    const asked = options();

    const checked = createGuard().check(asked, options());

    assert.deepEqual(JSON.parse(JSON.stringify(checked)), JSON.parse(JSON.stringify(asked)));
    asked.HostConfig?.Mounts?.splice(0);
    Object.assign(asked.HostConfig ?? {}, { Privileged: true });
    assert.equal(checked.HostConfig?.Mounts?.length, 1);
    assert.equal(checked.HostConfig.Privileged, undefined);
  });

  it("names the field, its value, and the line of the allow-list that would allow it", () => {
    assert.equal(
      setting("HostConfig.Privileged", true),
      "The guard refused HostConfig.Privileged = true: it would own the host; " +
        "the allow-list file can allow it with `fields: [HostConfig.Privileged]`",
    );
  });

  it("names every field at fault", () => {
    const message = verdict((_all, host) =>
      Object.assign(host, { Privileged: true, PidMode: "host", CapAdd: ["ALL"] }),
    );

    assert.match(message ?? "", /HostConfig\.Privileged.*HostConfig\.PidMode.*HostConfig\.CapAdd/);
  });

  const refused: readonly (readonly [field: string, value: unknown, allowed?: object])[] = [
    ["HostConfig.Privileged", true, { fields: ["HostConfig.Privileged"] }],
    ["HostConfig.CapAdd", ["NET_ADMIN"], { capabilities: ["NET_ADMIN"] }],
    ["HostConfig.CapAdd", ["cap_net_admin"], { capabilities: ["NET_ADMIN"] }],
    ["HostConfig.CapAdd", ["ALL"], { capabilities: ["ALL"] }],
    ["HostConfig.SecurityOpt", ["no-new-privileges", "seccomp=unconfined"], { securityOpts: ["seccomp=unconfined"] }],
    [
      "HostConfig.Devices",
      [{ PathOnHost: "/dev/kvm", PathInContainer: "/dev/kvm", CgroupPermissions: "rw" }],
      { devices: ["/dev/kvm:rw"] },
    ],
    [
      "HostConfig.DeviceRequests",
      [{ Driver: "nvidia", Count: -1, Capabilities: [["gpu"]] }],
      { deviceRequests: [{ driver: "nvidia", capabilities: ["gpu"] }] },
    ],
    ["HostConfig.DeviceCgroupRules", ["c 13:* rwm"], { deviceCgroupRules: ["c 13:* rwm"] }],
    [
      "HostConfig.Binds",
      ["/var/run/docker.sock:/var/run/docker.sock"],
      { binds: [{ source: "/var/run/docker.sock", writable: true }] },
    ],
    ["HostConfig.Binds", ["/etc:/host:ro"], { binds: [{ source: "/etc" }] }],
    ["HostConfig.PidMode", "host", { hostNamespaces: ["pid"] }],
    ["HostConfig.IpcMode", "host", { hostNamespaces: ["ipc"] }],
    ["HostConfig.UTSMode", "host", { hostNamespaces: ["uts"] }],
    ["HostConfig.UsernsMode", "host", { hostNamespaces: ["user"] }],
    ["HostConfig.CgroupnsMode", "host", { hostNamespaces: ["cgroup"] }],
    ["HostConfig.NetworkMode", "host", { hostNamespaces: ["network"] }],
    ["HostConfig.NetworkMode", "other", { networks: ["other"] }],
    ["HostConfig.Runtime", "runsc", { runtimes: ["runsc"] }],
    ["HostConfig.Sysctls", { "net.core.somaxconn": "1024" }, { sysctls: ["net.core.somaxconn"] }],
    ["HostConfig.GroupAdd", ["44"], { groups: ["44"] }],
    ["HostConfig.ReadonlyRootfs", false, { fields: ["HostConfig.ReadonlyRootfs"] }],
    ["HostConfig.MaskedPaths", [], { fields: ["HostConfig.MaskedPaths"] }],
    ["HostConfig.ReadonlyPaths", [], { fields: ["HostConfig.ReadonlyPaths"] }],
    ["HostConfig.Memory", 256 * 1_048_576, { ranges: { memoryMiB: { max: 256 } } }],
    ["HostConfig.PidsLimit", 51, { ranges: { pids: { max: 51 } } }],
    ["HostConfig.OomKillDisable", true, { fields: ["HostConfig.OomKillDisable"] }],
    ["HostConfig.OomScoreAdj", -1, { fields: ["HostConfig.OomScoreAdj"] }],
    ["HostConfig.PublishAllPorts", true, { fields: ["HostConfig.PublishAllPorts"] }],
    ["HostConfig.PortBindings", { "80/tcp": [{ HostPort: "80" }] }, { fields: ["HostConfig.PortBindings"] }],
    ["HostConfig.CgroupParent", "/", { fields: ["HostConfig.CgroupParent"] }],
    ["HostConfig.ExtraHosts", ["db:10.0.0.1"], { fields: ["HostConfig.ExtraHosts"] }],
    ["HostConfig.StorageOpt", { size: "1G" }, { fields: ["HostConfig.StorageOpt"] }],
    ["HostConfig.LogConfig", { Type: "json-file", Config: {} }, { fields: ["HostConfig.LogConfig"] }],
    ["HostConfig.Annotations", { "run.oci.handler": "krun" }, { fields: ["HostConfig.Annotations"] }],
    ["HostConfig.CpuRealtimeRuntime", 950_000, { fields: ["HostConfig.CpuRealtimeRuntime"] }],
    ["Healthcheck", { Test: ["CMD", "true"], Interval: 1_000_000 }, { fields: ["Healthcheck"] }],
    ["User", "root", { users: ["root"] }],
    ["User", "0", { users: ["0"] }],
    ["User", "", { users: [""] }],
  ];
  for (const [field, value, allowed] of refused) {
    it(`refuses ${field} = ${JSON.stringify(value)}, unless it is allowed`, () => {
      const message = setting(field, value) ?? "";

      assert.ok(message.startsWith(`The guard refused ${field} = `), message);
      assert.match(message, /the allow-list file can allow it with/);
      assert.equal(setting(field, value, allowed), undefined);
    });
  }

  const everything = {
    hostNamespaces: ["network", "pid", "ipc", "uts", "user", "cgroup"],
    networks: ["other"],
    volumes: ["v"],
    binds: [{ source: "/", below: true, writable: true }],
  };
  const never: readonly (readonly [field: string, value: unknown])[] = [
    ["HostConfig.PidMode", "container:other"],
    ["HostConfig.IpcMode", "container:other"],
    ["HostConfig.IpcMode", "shareable"],
    ["HostConfig.NetworkMode", "container:other"],
    ["HostConfig.UTSMode", "container:other"],
    ["HostConfig.VolumesFrom", ["other"]],
    ["HostConfig.Cgroup", "container:other"],
    ["HostConfig.Links", ["other:db"]],
    ["HostConfig.RestartPolicy", { Name: "always" }],
    ["HostConfig.AutoRemove", true],
    ["HostConfig.ContainerIDFile", "/etc/cron.d/x"],
    ["HostConfig.VolumeDriver", "sshfs"],
    ["HostConfig.KernelMemory", 1],
    ["Volumes", { "/data": {} }],
    ["Tty", true],
    ["OpenStdin", true],
    ["MacAddress", "02:42:ac:11:00:02"],
    ["name", "somebody-else"],
    ["platform", "linux/arm64"],
    ["Image", "other:latest"],
  ];
  for (const [field, value] of never) {
    it(`refuses ${field} = ${JSON.stringify(value)}, whatever is allowed`, () => {
      const message = setting(field, value, everything) ?? "";

      assert.ok(message.startsWith(`The guard refused ${field} = `), message);
      assert.doesNotMatch(message, /can allow it/);
    });
  }

  it("refuses what it does not know, at any depth and in any spelling", () => {
    const unknown: readonly (readonly [string, unknown])[] = [
      ["HostConfig.NewInNextYear", true],
      ["HostConfig.privileged", true],
      ["HostConfig.PRIVILEGED", true],
      ["hostconfig", { Privileged: true }],
      ["hostConfig", { Privileged: true }],
      ["Privileged", true],
      ["Memory", 1_073_741_824],
      ["Cpuset", "0"],
      ["_body", { HostConfig: { Privileged: true } }],
      ["_query", { name: "x" }],
      ["authconfig", {}],
      ["abortSignal", {}],
      ["constructor", "x"],
      ["toString", "x"],
    ];
    for (const [field, value] of unknown) assert.match(setting(field, value) ?? "", /does not know this field/, field);
    const proto = verdict((all) =>
      Object.defineProperty(all, "__proto__", { value: { Privileged: true }, enumerable: true }),
    );
    assert.match(proto ?? "", /__proto__ = .*does not know this field/);
    const allowed = { fields: ["Healthcheck"] };
    assert.match(setting("Healthcheck", { Test: ["NONE"], Exec: "x" }, allowed) ?? "", /Healthcheck\.Exec/);
  });

  it("takes every field of HostConfig for unknown at the top, where old daemons read some", () => {
    const host = GUARD_TABLE.group["HostConfig"];
    assert.ok(host !== undefined && "group" in host);

    for (const name of Object.keys(host.group)) assert.match(setting(name, 1) ?? "", /does not know/, name);
  });

  it("refuses that a protection is dropped", () => {
    const held: readonly (keyof HostConfig)[] = [
      ...(["Memory", "MemorySwap", "PidsLimit", "Ulimits", "CapDrop", "SecurityOpt", "ReadonlyRootfs"] as const),
      ...(["LogConfig", "NetworkMode", "IpcMode", "Mounts"] as const),
    ];
    for (const name of held) {
      for (const empty of [undefined, null]) {
        const message = setting(`HostConfig.${name}`, empty) ?? "";
        assert.ok(message.startsWith(`The guard refused HostConfig.${name} is missing`), `${name}: ${message}`);
      }
    }
    const top = ["User", "name", "Image", "Labels", "Healthcheck"];
    for (const name of top) assert.match(setting(name, undefined) ?? "", new RegExp(`${name} is missing`));
    assert.match(setting("HostConfig", undefined) ?? "", /HostConfig\.Memory is missing/);
    assert.match(setting("HostConfig", null) ?? "", /and \d+ more/);
    assert.match(setting("HostConfig.CapDrop", []) ?? "", /no capability may be kept/);
    assert.match(setting("HostConfig.Memory", 0) ?? "", /HostConfig\.Memory = 0/);
    assert.match(setting("HostConfig.MemorySwap", -1) ?? "", /HostConfig\.MemorySwap = -1/);
    assert.match(setting("HostConfig.PidsLimit", -1) ?? "", /HostConfig\.PidsLimit = -1/);
  });

  it("gives no function swap, whatever hooks make of its memory", () => {
    const wider = createGuard(() => guardPermits.parse({ ranges: { memoryMiB: { max: 512 } } }));
    const swapOf = (change: HostConfig) => {
      const asked = options();
      Object.assign(asked.HostConfig ?? {}, change);
      return wider.check(asked, options()).HostConfig?.MemorySwap;
    };

    assert.equal(swapOf({ Memory: 64 * MIB }), 64 * MIB);
    assert.equal(swapOf({ Memory: 512 * MIB }), 512 * MIB);
    assert.equal(swapOf({ Memory: 64 * MIB, MemorySwap: 64 * MIB }), 64 * MIB);
    const more = { Memory: 64 * MIB, MemorySwap: 100 * MIB };
    assert.throws(() => swapOf(more), /MemorySwap = 104857600: expected the same as HostConfig\.Memory/);
  });

  it("keeps a function to its cores, whichever fields say how many", () => {
    const most = /expected no more than the 0\.5 cores of the function/;
    assert.match(setting("HostConfig.CpuQuota", -1) ?? "", most);
    assert.match(setting("HostConfig.CpuQuota", undefined) ?? "", most);
    assert.match(setting("HostConfig.CpuPeriod", 10_000) ?? "", most);
    const nano = (NanoCpus: number) =>
      verdict((_all, host) => Object.assign(host, { NanoCpus, CpuQuota: undefined, CpuPeriod: undefined }));
    assert.match(nano(1e9) ?? "", most);
    assert.equal(nano(4e8), undefined);
    assert.equal(setting("HostConfig.CpuQuota", 200_000, { fields: ["HostConfig.CpuQuota"] }), undefined);
  });

  it("lets hooks do what makes no sandbox wider", () => {
    const free: readonly (readonly [string, unknown])[] = [
      ["HostConfig.CpuShares", 1_024],
      ["HostConfig.CpuQuota", 25_000],
      ["HostConfig.CpusetCpus", "0"],
      ["HostConfig.Memory", 64 * 1_048_576],
      ["HostConfig.MemoryReservation", 64 * 1_048_576],
      ["HostConfig.ShmSize", 1_048_576],
      ["HostConfig.PidsLimit", 20],
      ["HostConfig.NetworkMode", "none"],
      ["HostConfig.IpcMode", "none"],
      ["HostConfig.CapDrop", ["ALL", "NET_RAW"]],
      ["HostConfig.Init", false],
      ["HostConfig.OomScoreAdj", 500],
      ["HostConfig.Tmpfs", undefined],
      ["HostConfig.Privileged", false],
      ["HostConfig.Binds", []],
      ["HostConfig.CapAdd", null],
      ["Env", ["A=1"]],
      ["Cmd", ["node", "other.js"]],
      ["Entrypoint", "node"],
      ["WorkingDir", "/function"],
      ["StopTimeout", 3],
      ["Hostname", "fn"],
    ];
    for (const [field, value] of free) assert.equal(setting(field, value), undefined, field);
    assert.equal(
      verdict((all) => Object.assign(all.Labels ?? {}, { team: "cheese" })),
      undefined,
    );
  });

  it("keeps Kiln's labels", () => {
    const change = (name: string, value?: string) =>
      verdict((all) => Object.assign(all.Labels ?? {}, { [name]: value }));

    assert.match(change("kiln.boot", "another") ?? "", /label "kiln\.boot" is Kiln's own/);
    assert.match(change("kiln.boot", undefined) ?? "", /label "kiln\.boot" is Kiln's own/);
    assert.match(change("kiln.new", "x") ?? "", /label "kiln\.new" is Kiln's own/);
  });

  it("narrows CPU shares to the operator's range", () => {
    const range = { ranges: { cpuShares: { min: 128, max: 512 } } };

    assert.equal(setting("HostConfig.CpuShares", 512, range), undefined);
    assert.match(setting("HostConfig.CpuShares", 1_024, range) ?? "", /expected an integer from 128 to 512/);
    assert.match(setting("HostConfig.CpuShares", 1) ?? "", /from 2 to 262144/);
    assert.match(setting("HostConfig.CpuShares", "512") ?? "", /from 2 to 262144/);
  });

  it("lets ulimits be lowered only, and takes no others", () => {
    const built = options().HostConfig?.Ulimits ?? [];
    const nofile = (limit: number) =>
      built.map((each) => (each.Name === "nofile" ? { ...each, Soft: limit, Hard: limit } : each));

    assert.equal(setting("HostConfig.Ulimits", nofile(100)), undefined);
    assert.match(setting("HostConfig.Ulimits", nofile(351)) ?? "", /limit nofile is not allowed, or not this high/);
    assert.match(setting("HostConfig.Ulimits", nofile(-1)) ?? "", /limit nofile/);
    assert.match(setting("HostConfig.Ulimits", built.slice(1)) ?? "", /limit nofile may not be dropped/);
    const core = [...built, { Name: "core", Soft: 0, Hard: 0 }];
    assert.match(setting("HostConfig.Ulimits", core) ?? "", /limit core/);
    assert.equal(
      setting("HostConfig.Ulimits", nofile(1_000), { ranges: { ulimits: { nofile: { max: 1_000 } } } }),
      undefined,
    );
  });

  it("lets a container join allowed networks, without a word about itself there", () => {
    const joins = (settings: object, allowed = {}) =>
      setting("NetworkingConfig", { EndpointsConfig: { other: settings } }, allowed);

    assert.match(joins({}) ?? "", /network "other" is not allowed/);
    assert.equal(joins({}, { networks: ["other"] }), undefined);
    assert.match(joins({ Aliases: ["db"] }, { networks: ["other"] }) ?? "", /Aliases may not be set/);
    assert.match(joins({ DriverOpts: { x: "y" } }, { networks: ["other"] }) ?? "", /DriverOpts may not be set/);
  });

  it("counts devices where the operator does", () => {
    const gpus = (Count: number) => [{ Driver: "nvidia", Count, Capabilities: [["gpu"]] }];
    const one = { deviceRequests: [{ driver: "nvidia", capabilities: ["gpu"], maxCount: 1 }] };

    assert.equal(setting("HostConfig.DeviceRequests", gpus(1), one), undefined);
    assert.match(setting("HostConfig.DeviceRequests", gpus(-1), one) ?? "", /not allowed/);
    assert.match(setting("HostConfig.DeviceRequests", gpus(2), one) ?? "", /not allowed/);
    assert.match(setting("HostConfig.Devices", [{ PathOnHost: "/dev/kvm" }], { devices: ["/dev/kvm:r"] }) ?? "", /kvm/);
  });
});
