import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { optionSources } from "../../../../kiln/testing/option-sources.ts";
import { containerOptions } from "../../../../runner/driver/docker/container-options.ts";

type Changes = Parameters<typeof optionSources>[0];

const built = (changes: Changes = {}) => containerOptions(optionSources(changes));
const host = (changes: Changes = {}) => built(changes).HostConfig ?? {};

describe("containerOptions", () => {
  it("names the container after its place and runs the task's image, without that image's health check", () => {
    const options = built({ task: { image: "registry.test/cheese:1" } });

    assert.equal(options.name, "kiln-1");
    assert.equal(options.Image, "registry.test/cheese:1");
    assert.deepEqual(options.Healthcheck, { Test: ["NONE"] });
  });

  it("labels it with whose it is", () => {
    const { Labels } = built({ task: { appId: "A", fnId: "F" } });

    assert.deepEqual(Labels, {
      "kiln.installation": "here",
      "kiln.service": "r1",
      "kiln.runner": "r1",
      "kiln.boot": "b1",
      "kiln.app": "A",
      "kiln.fn": "F",
    });
  });

  it("gives it the task's memory and no swap, and says nothing of kernel memory", () => {
    const { Memory, MemorySwap, KernelMemory } = host({ task: { memoryMiB: 96 } });

    assert.deepEqual([Memory, MemorySwap, KernelMemory], [100_663_296, 100_663_296, undefined]);
  });

  it("makes a quota of the task's CPU, and never shares", () => {
    const limited = host({ task: { cpuMillis: 250 } });
    const unlimited = host({ task: { cpuMillis: 0 } });

    assert.deepEqual([limited.CpuPeriod, limited.CpuQuota, limited.CpuShares], [100_000, 25_000, undefined]);
    assert.deepEqual([unlimited.CpuPeriod, unlimited.CpuQuota], [undefined, undefined]);
    const least = host({ task: { cpuMillis: 1 } });
    assert.deepEqual([least.CpuPeriod, least.CpuQuota], [1_000_000, 1_000]);
  });

  it("sizes /tmp as the task says, or with a default within its memory", () => {
    const size = (task: { memoryMiB: number; tmpfsMiB: number }, sandbox = {}) =>
      host({ task, sandbox }).Tmpfs?.["/tmp"];

    assert.equal(size({ memoryMiB: 256, tmpfsMiB: 100 }), "rw,nosuid,nodev,noexec,size=100m,mode=1777");
    assert.match(size({ memoryMiB: 256, tmpfsMiB: 0 }) ?? "", /size=64m/);
    assert.match(size({ memoryMiB: 32, tmpfsMiB: 0 }) ?? "", /size=16m/);
    assert.match(size({ memoryMiB: 1, tmpfsMiB: 0 }) ?? "", /size=1m/);
    assert.match(size({ memoryMiB: 64, tmpfsMiB: 8 }, { tmpfsInodes: 500 }) ?? "", /size=8m,nr_inodes=500,mode/);
  });

  it("makes the root read-only unless the operator wants it otherwise", () => {
    assert.equal(host().ReadonlyRootfs, true);
    assert.equal(host({ sandbox: { readonlyRoot: false } }).ReadonlyRootfs, false);
  });

  it("runs it as an ordinary user, without capabilities and without a way to gain any", () => {
    const options = built();

    assert.equal(options.User, "1000:1000");
    assert.deepEqual(options.HostConfig?.CapDrop, ["ALL"]);
    assert.deepEqual(options.HostConfig?.SecurityOpt, ["no-new-privileges"]);
  });

  it("gives it namespaces of its own, whatever the daemon's defaults", () => {
    const options: object = host();

    assert.deepEqual(
      { IpcMode: "private", CgroupnsMode: "private" },
      {
        IpcMode: "IpcMode" in options && options.IpcMode,
        CgroupnsMode: "CgroupnsMode" in options && options.CgroupnsMode,
      },
    );
    assert.equal("PidMode" in options, false);
  });

  it("limits processes per container, and never by the host-wide ulimit nproc", () => {
    const { PidsLimit, Ulimits, Init } = host({ sandbox: { pids: 20, ulimits: { nofile: 100 } } });

    assert.equal(PidsLimit, 20);
    assert.deepEqual(Ulimits, [{ Name: "nofile", Soft: 100, Hard: 100 }]);
    assert.equal(Init, true);
    assert.deepEqual(
      host().Ulimits?.map(({ Name }) => Name),
      ["nofile", "memlock", "sigpending", "msgqueue"],
    );
  });

  it("joins the network it is given, Docker's own, or none", () => {
    assert.equal(host({ network: "fn-1" }).NetworkMode, "fn-1");
    assert.equal(host().NetworkMode, "bridge");
    assert.equal(host({ network: "fn-1", task: { networkDisabled: true } }).NetworkMode, "none");
  });

  it("logs nowhere, or to the task's syslog", () => {
    assert.deepEqual(host({ task: { syslogUrl: "" } }).LogConfig, { Type: "none", Config: {} });
    const { LogConfig } = host({ task: { syslogUrl: "tcp://logs.test:514", appId: "A", fnId: "{{.ID}},x=y" } });
    assert.deepEqual(LogConfig, {
      Type: "syslog",
      Config: {
        "syslog-address": "tcp://logs.test:514",
        "syslog-facility": "user",
        "syslog-format": "rfc5424",
        tag: "app_id=A,fn_id=__.ID___x_y",
      },
    });
  });

  it("never has the daemon log to a socket of its own host", () => {
    for (const syslogUrl of ["unix:///var/run/docker.sock", "unixgram:///dev/log", "tcp://", "logs.test:514"]) {
      assert.throws(() => host({ task: { syslogUrl } }), { code: "syslog_unavailable" }, syslogUrl);
    }
  });

  it("passes the environment on as it is", () => {
    const { Env } = built({ task: { env: { A: "1", B: "x=y z", C: "" } } });

    assert.deepEqual(Env, ["A=1", "B=x=y z", "C="]);
  });

  it("mounts the socket directory, by the path that the daemon knows", () => {
    const mount = (sandbox = {}) => host({ sandbox }).Mounts;
    const at = (Source: string) => [{ Type: "bind", Source, Target: "/tmp/iofs", ReadOnly: false }];

    assert.deepEqual(mount(), at("/run/kiln/kiln-1"));
    assert.deepEqual(mount({ socketPrefix: { runner: "/run/kiln", docker: "/host/kiln" } }), at("/host/kiln/kiln-1"));
    assert.deepEqual(mount({ socketPrefix: { runner: "/run/kiln/", docker: "/host/kiln/" } }), at("/host/kiln/kiln-1"));
    assert.throws(
      () => mount({ socketPrefix: { runner: "/run/kilnx", docker: "/host" } }),
      /is not below "\/run\/kilnx"/,
    );
    assert.equal(host().Binds, undefined);
  });

  it("names a runtime only where there is one", () => {
    assert.equal("Runtime" in host(), false);
    assert.equal(host({ sandbox: { runtime: "runsc" } }).Runtime, "runsc");
  });

  it("is fresh each time", () => {
    const sources = optionSources();

    assert.notEqual(containerOptions(sources).HostConfig, containerOptions(sources).HostConfig);
    assert.notEqual(containerOptions(sources).Env, containerOptions(sources).Env);
  });
});
