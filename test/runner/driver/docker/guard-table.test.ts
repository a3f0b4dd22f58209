import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { ENGINE_CREATE_FIELDS } from "../../../../kiln/testing/engine-create-fields.ts";
import { GUARD_TABLE, listableFields } from "../../../../runner/driver/docker/guard-table.ts";
import type { Field, Shape } from "../../../../runner/driver/docker/guard-field.ts";

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

/** Whether the table says something of this field, down to its innermost part. */
function isRuled(path: string): boolean {
  const [first = "", ...rest] = path.match(/[^.[\]{}]+|\[\]|\{\}/g) ?? [];
  let field: Field | undefined = own(GUARD_TABLE.group, first);
  while (field !== undefined && "group" in field) field = own(field.group, rest.shift() ?? "");
  let shape: Shape | undefined = field?.shape;
  for (const step of rest) shape = step === "[]" ? shape?.items : step === "{}" ? shape?.values : own(shape?.fields ?? {}, step);
  return shape !== undefined;
}

function own<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

function leaves(prefix: string, field: Field): readonly string[] {
  if (!("group" in field)) return [prefix];
  return Object.entries(field.group).flatMap(([name, inner]) => leaves(prefix === "" ? name : `${prefix}.${name}`, inner));
}
