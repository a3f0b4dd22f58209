import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { ContainerCreateOptions, HostConfig } from "dockerode";

import { optionSources } from "../../../../kiln/testing/option-sources.ts";
import { containerOptions } from "../../../../runner/driver/docker/container-options.ts";
import { guardPermits } from "../../../../runner/driver/docker/guard-permits.ts";
import { createGuard } from "../../../../runner/driver/docker/guard.ts";

const MIB = 1_048_576;
const options = (): ContainerCreateOptions => containerOptions(optionSources({ task: { memoryMiB: 128 } }));

/** What the guard says of these changes of HostConfig; undefined where it lets them pass. */
function verdict(change: (host: HostConfig) => object, allowed: object = {}): string | undefined {
  const asked = options();
  Object.assign(asked.HostConfig ?? {}, change(asked.HostConfig ?? {}));
  try {
    createGuard(() => guardPermits.parse(allowed)).check(asked, options());
    return undefined;
  } catch (error) {
    assert.ok(error instanceof Error && "code" in error && error.code === "guard_refused", String(error));
    return error.message;
  }
}

const mounting = (mount: object, allowed?: object) =>
  verdict(({ Mounts = [] }) => ({ Mounts: [...Mounts, mount] }), allowed);

const bind = (Source: string, more: object = {}) => ({
  Type: "bind",
  Source,
  Target: "/data",
  ReadOnly: true,
  ...more,
});

describe("the guard's view of mounts", () => {
  it("keeps the socket directory as it is", () => {
    assert.match(verdict(() => ({ Mounts: [] })) ?? "", /socket directory's mount stays as it is/);
    assert.match(verdict(() => ({ Mounts: undefined })) ?? "", /may not be dropped/);
    const moved = verdict(({ Mounts = [] }) => ({ Mounts: Mounts.map((mount) => ({ ...mount, Source: "/run" })) }));
    assert.match(moved ?? "", /stays as it is/);
    assert.match(verdict(({ Mounts = [] }) => ({ Mounts: [...Mounts, ...Mounts] })) ?? "", /stays as it is/);
    for (const Target of ["/tmp/iofs", "/tmp/iofs/lsnr.sock", "/", "/tmp/../", "/tmp/./iofs", "data", "/data/"]) {
      const message = mounting(bind("/srv/models", { Target }), { binds: [{ source: "/srv/models" }] });
      assert.match(message ?? "", /is no place for a mount/, Target);
    }
  });

  it("allows a bind of a listed path, writable only where that says so", () => {
    const readable = { binds: [{ source: "/srv/models" }] };
    const writable = { binds: [{ source: "/srv/models", writable: true }] };

    assert.match(
      mounting(bind("/srv/models")) ?? "",
      /a bind of \/srv\/models is not allowed.*binds: \[\{ source: "\/srv\/models", writable: false \}\]/,
    );
    assert.equal(mounting(bind("/srv/models"), readable), undefined);
    assert.match(mounting(bind("/srv/models", { ReadOnly: false }), readable) ?? "", /, writable, is not allowed/);
    assert.equal(mounting(bind("/srv/models", { ReadOnly: false }), writable), undefined);
    assert.match(mounting(bind("/srv/models/llama"), readable) ?? "", /not allowed/);
  });

  it("allows what is below a listed path where that says so, but no engine's socket", () => {
    const below = { binds: [{ source: "/srv", below: true, writable: true }] };

    assert.equal(mounting(bind("/srv/models/llama"), below), undefined);
    for (const source of ["/srvx", "/srv/../etc", "/srv//x", "/srv/./x", "srv/x", "/srv/x/"]) {
      assert.match(mounting(bind(source), below) ?? "", /not allowed|absolute source/, source);
    }
    assert.match(mounting(bind("/srv/docker.sock"), below) ?? "", /not allowed/);
    assert.match(mounting(bind("/srv/run/containerd.sock"), below) ?? "", /not allowed/);
    assert.equal(mounting(bind("/srv/docker.sock"), { binds: [{ source: "/srv/docker.sock" }] }), undefined);
  });

  it("refuses binds that reach back to the host", () => {
    const allowed = { binds: [{ source: "/srv/models" }] };

    assert.match(
      mounting(bind("/srv/models", { BindOptions: { Propagation: "rshared" } }), allowed) ?? "",
      /not propagated/,
    );
    assert.match(
      mounting(bind("/srv/models", { BindOptions: { CreateMountpoint: true } }), allowed) ?? "",
      /no directory/,
    );
    assert.equal(mounting(bind("/srv/models", { BindOptions: { NonRecursive: true } }), allowed), undefined);
  });

  it("judges bind strings like mounts", () => {
    const binding = (text: string, allowed?: object) => verdict(() => ({ Binds: [text] }), allowed);
    const allowed = { binds: [{ source: "/srv/models" }], volumes: ["cache"] };

    assert.match(
      binding("/var/run/docker.sock:/var/run/docker.sock") ?? "",
      /HostConfig\.Binds.*docker\.sock, writable, is not/,
    );
    assert.equal(binding("/srv/models:/models:ro", allowed), undefined);
    assert.match(binding("/srv/models:/models", allowed) ?? "", /writable, is not allowed/);
    assert.match(binding("/srv/models:/models:ro,rshared", allowed) ?? "", /expected source:target/);
    assert.match(binding("/srv/models:/models:ro,z", allowed) ?? "", /expected source:target/);
    assert.match(binding("/srv/models:/tmp/iofs:ro", allowed) ?? "", /no place for a mount/);
    assert.equal(binding("cache:/cache", allowed), undefined);
    assert.match(binding("other:/cache", allowed) ?? "", /volume "other" is not allowed/);
    assert.match(binding("/anonymous", allowed) ?? "", /no place for a mount|not allowed/);
  });

  it("allows listed volumes, and no driver of a hook's choice", () => {
    const volume = { Type: "volume", Source: "cache", Target: "/cache" };
    const root = { Name: "local", Options: { type: "none", o: "bind", device: "/" } };

    assert.match(mounting(volume) ?? "", /volume "cache" is not allowed/);
    assert.equal(mounting(volume, { volumes: ["cache"] }), undefined);
    const driven = mounting({ ...volume, VolumeOptions: { DriverConfig: root } }, { volumes: ["cache"] });
    assert.match(driven ?? "", /VolumeOptions\.DriverConfig may not be set/);
    assert.match(mounting({ Type: "volume", Target: "/cache" }, { volumes: ["cache"] }) ?? "", /not allowed/);
    for (const Type of ["image", "npipe", "cluster", "Bind", undefined]) {
      assert.match(mounting({ ...volume, Type }, { volumes: ["cache"] }) ?? "", /a mount of type/, Type);
    }
  });

  it("keeps all tmpfs together within the memory that they count as", () => {
    const mounted = (mib: number, allowed?: object) =>
      mounting({ Type: "tmpfs", Target: "/scratch", TmpfsOptions: { SizeBytes: mib * MIB } }, allowed);
    const extra = (entry: string, allowed?: object) =>
      verdict(({ Tmpfs = {} }) => ({ Tmpfs: { ...Tmpfs, "/scratch": entry } }), allowed);

    assert.equal(mounted(64), undefined);
    assert.match(mounted(65) ?? "", /expected at most 134217728.*ranges: \{ tmpfsMiB: \{ max: 129 \} \}/);
    assert.equal(mounted(65, { ranges: { tmpfsMiB: { max: 129 } } }), undefined);
    assert.equal(extra("size=64m"), undefined);
    assert.match(extra("size=65m") ?? "", /all tmpfs together/);
    assert.match(extra("size=1g") ?? "", /all tmpfs together/);
    const both = verdict(({ Mounts = [], Tmpfs = {} }) => ({
      Mounts: [...Mounts, { Type: "tmpfs", Target: "/a", TmpfsOptions: { SizeBytes: 33 * MIB } }],
      Tmpfs: { ...Tmpfs, "/b": "size=32m" },
    }));
    assert.match(both ?? "", /all tmpfs together/);
  });

  it("takes a tmpfs only with a size, and without programs, devices and set-uid files", () => {
    const at = (target: string, entry: unknown) => verdict(() => ({ Tmpfs: { [target]: entry } }));

    assert.equal(at("/tmp", "rw,nosuid,nodev,noexec,size=10m,mode=1777,nr_inodes=100"), undefined);
    for (const entry of ["", "rw", "size=50%", "size=0", "size=0m", "size=-1", "nr_inodes=10"]) {
      assert.match(at("/tmp", entry) ?? "", /needs a size|is not allowed/, entry);
    }
    for (const entry of [
      "size=1m,exec",
      "size=1m,suid",
      "size=1m,dev",
      "size=1m,huge=always",
      "size",
      "size=1m,noexec=0",
    ]) {
      assert.match(at("/tmp", entry) ?? "", /is not allowed at|needs a size/, entry);
    }
    assert.match(at("/tmp", "size=1m,size=100g") ?? "", /comes twice/);
    assert.match(at("/tmp/iofs", "size=1m") ?? "", /no place for a mount/);
    assert.match(at("/", "size=1m") ?? "", /no place for a mount/);
    assert.match(mounting({ Type: "tmpfs", Target: "/a" }) ?? "", /a tmpfs needs a size/);
    const options = { SizeBytes: 1, Options: [["exec"]] };
    assert.match(mounting({ Type: "tmpfs", Target: "/a", TmpfsOptions: options }) ?? "", /TmpfsOptions\.Options/);
  });
});
