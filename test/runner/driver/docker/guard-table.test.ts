import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isDeepStrictEqual } from "node:util";

import { ENGINE_CREATE_FIELDS } from "../../../../kiln/testing/engine-create-fields.ts";
import { optionSources } from "../../../../kiln/testing/option-sources.ts";
import { containerOptions } from "../../../../runner/driver/docker/container-options.ts";
import type { Field, Shape } from "../../../../runner/driver/docker/guard-field.ts";
import { GUARD_TABLE, listableFields } from "../../../../runner/driver/docker/guard-table.ts";
import { createGuard } from "../../../../runner/driver/docker/guard.ts";

describe("the guard's table", () => {
  it("has a rule for every field of the Engine's create call", () => {
    const absent = ENGINE_CREATE_FIELDS.filter((path) => !isRuled(path));

    assert.deepEqual(absent, []);
    assert.ok(ENGINE_CREATE_FIELDS.length > 150);
  });

  it("has no field that the Engine does not have", () => {
    const known = new Set(ENGINE_CREATE_FIELDS.map((path) => path.split(/[[{]/)[0] ?? path));
    const invented = leaves("", GUARD_TABLE).filter(
      (path) => ![...known].some((field) => field === path || field.startsWith(`${path}.`)),
    );

    assert.deepEqual(invented, []);
  });

  it("would miss a field that is not in it", () => {
    assert.equal(isRuled("HostConfig.NewInNextYear"), false);
    assert.equal(isRuled("HostConfig.Mounts[].NewInNextYear"), false);
    assert.equal(isRuled("HostConfig.Privileged.NewInNextYear"), false);
    assert.equal(isRuled("HostConfig.constructor"), false);
  });

  it("lets the allow-list name whole fields, never those that are Kiln's own or another container's", () => {
    const listable = listableFields();

    assert.ok(listable.includes("HostConfig.Privileged"));
    const never = ["name", "Image", "Labels", "PidMode", "IpcMode", "NetworkMode", "VolumesFrom", "Mounts", "Binds"];
    assert.deepEqual(
      never.filter((name) => listable.includes(name) || listable.includes(`HostConfig.${name}`)),
      [],
    );
  });
});

describe("the guard's posture", () => {
  // Written out, so that a rule that becomes too kind is seen in review.
  const FREE = `
    Hostname Domainname Env Cmd WorkingDir Entrypoint NetworkDisabled Labels StopSignal StopTimeout Shell
    HostConfig.CpuShares HostConfig.Memory HostConfig.NanoCpus HostConfig.BlkioWeight HostConfig.BlkioWeightDevice
    HostConfig.BlkioDeviceReadBps HostConfig.BlkioDeviceWriteBps HostConfig.BlkioDeviceReadIOps
    HostConfig.BlkioDeviceWriteIOps HostConfig.CpuPeriod HostConfig.CpuQuota HostConfig.CpusetCpus
    HostConfig.CpusetMems HostConfig.MemoryReservation HostConfig.MemorySwappiness
    HostConfig.PidsLimit HostConfig.Ulimits HostConfig.NetworkMode HostConfig.Mounts
    HostConfig.CapDrop HostConfig.Dns HostConfig.DnsOptions HostConfig.DnsSearch HostConfig.IpcMode
    HostConfig.OomScoreAdj HostConfig.PidMode HostConfig.Tmpfs HostConfig.UTSMode HostConfig.UsernsMode
    HostConfig.ShmSize HostConfig.Umask NetworkingConfig.EndpointsConfig`
    .trim()
    .split(/\s+/);

  it("lets hooks set these fields without the operator's permission, and no others", () => {
    const settable = leaves("", GUARD_TABLE).filter((path) => CANDIDATES.some((value) => passes(path, value)));

    assert.deepEqual(settable.toSorted(), FREE.toSorted());
  });
});

const LABELS = containerOptions(optionSources()).Labels;
const MOUNTS = containerOptions(optionSources()).HostConfig?.Mounts ?? [];
const ULIMITS = containerOptions(optionSources()).HostConfig?.Ulimits ?? [];

/** One value at least that each field's rule would take, and many that it should not. */
const CANDIDATES: readonly unknown[] = [
  true,
  1,
  100,
  1_048_576,
  -1,
  "x",
  "0",
  "root",
  "none",
  "host",
  "private",
  "container:x",
  "/",
  ["x"],
  ["x=y"],
  ["ALL", "x"],
  ["no-new-privileges", "seccomp=unconfined"],
  ["/:/host"],
  ["x:/data"],
  { x: "y" },
  { "/x": "size=1m" },
  { "80/tcp": {} },
  { bridge: {} },
  { Name: "always" },
  { Type: "json-file", Config: {} },
  { Test: ["CMD", "true"] },
  { ...LABELS, x: "y" },
  [{ Path: "/dev/sda", Rate: 1 }],
  [{ Path: "/dev/sda", Weight: 1 }],
  [{ PathOnHost: "/dev/sda", PathInContainer: "/dev/sda", CgroupPermissions: "rwm" }],
  [{ Driver: "nvidia", Count: 1, Capabilities: [["gpu"]] }],
  [...MOUNTS, { Type: "tmpfs", Target: "/x", TmpfsOptions: { SizeBytes: 1 } }],
  [...MOUNTS, { Type: "bind", Source: "/", Target: "/x", ReadOnly: true }],
  ULIMITS.map((limit) => ({ ...limit, Soft: 1, Hard: 1 })),
];

function passes(path: string, value: unknown): boolean {
  const built = containerOptions(optionSources());
  const asked = structuredClone(built);
  const [group, name] = path.includes(".") ? path.split(".") : [undefined, path];
  const holder: object = group === undefined ? asked : { ...own(asked as Record<string, object>, group) };
  // What the driver itself asks for is no change.
  if (isDeepStrictEqual(own(holder as Record<string, unknown>, name ?? ""), value)) return false;
  Object.assign(holder, { [name ?? ""]: value });
  if (group !== undefined) Object.assign(asked, { [group]: holder });
  try {
    createGuard().check(asked, built);
    return true;
  } catch {
    return false;
  }
}

/** Whether the table says something of this field, down to its innermost part. */
function isRuled(path: string): boolean {
  const [first = "", ...rest] = path.match(/[^.[\]{}]+|\[\]|\{\}/g) ?? [];
  let field: Field | undefined = own(GUARD_TABLE.group, first);
  while (field !== undefined && "group" in field) field = own(field.group, rest.shift() ?? "");
  let shape: Shape | undefined = field?.shape;
  for (const step of rest)
    shape = step === "[]" ? shape?.items : step === "{}" ? shape?.values : own(shape?.fields ?? {}, step);
  return shape !== undefined;
}

function own<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

function leaves(prefix: string, field: Field): readonly string[] {
  if (!("group" in field)) return [prefix];
  return Object.entries(field.group).flatMap(([name, inner]) =>
    leaves(prefix === "" ? name : `${prefix}.${name}`, inner),
  );
}
