import { isDeepStrictEqual } from "node:util";

import type { ContainerCreateOptions } from "dockerode";

import { CallError } from "../../../core/call-error.ts";
import {
  isList,
  isObject,
  member,
  objection,
  type Asked,
  type Field,
  type Objection,
  type Shape,
} from "./guard-field.ts";
import { NO_PERMITS, type GuardPermits } from "./guard-permits.ts";
import { GUARD_TABLE } from "./guard-table.ts";
import { plainCopy, type Plain, type PlainObject } from "./plain-data.ts";

/**
 * Has the last word on a container's options, after every hook. It guards against what a call, an extension or a
 * hook's mistake brings into the options; the operator's hooks run in this process, and are trusted like it.
 */
export interface Guard {
  /**
   * Returns a copy that later changes do not reach: create the container from it, not from `asked`.
   * @throws CallError `guard_refused` naming every field at fault and what would allow it
   */
  check(asked: ContainerCreateOptions, built: ContainerCreateOptions): ContainerCreateOptions;
}

/** A guard that asks for the permits at each check, so that they may change meanwhile. By default nothing is permitted. */
export function createGuard(permits: () => GuardPermits = () => NO_PERMITS): Guard {
  return {
    check(asked, built) {
      const options = copyOf(asked);
      const builtOptions = copyOf(built);
      const whole = { path: "", value: options, built: builtOptions, options, builtOptions, permits: permits() };
      const objections = judge(GUARD_TABLE, whole);
      if (objections.length > 0) throw refusal(objections);
      return withoutSwap(options);
    },
  };
}

function copyOf(options: ContainerCreateOptions): PlainObject & ContainerCreateOptions {
  try {
    const copy = plainCopy(options);
    if (isObject(copy)) return copy as PlainObject & ContainerCreateOptions;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new CallError("guard_refused", `The guard refused the container options: ${error.message}`, { cause: error });
  }
  throw new CallError("guard_refused", "The guard refused the container options: expected an object");
}

/** The Engine counts swap on top of memory: whoever lowers the one alone would have the difference as swap. */
function withoutSwap(options: ContainerCreateOptions): ContainerCreateOptions {
  const { HostConfig: host } = options;
  if (host?.Memory !== undefined) host.MemorySwap = host.Memory;
  return options;
}

function judge(field: Field, asked: Asked): readonly Objection[] {
  if (isDeepStrictEqual(asked.value, asked.built)) return [];
  if ("group" in field) return judgeGroup(field.group, asked);
  const strange = unknownIn(field.shape, asked.value, asked.path);
  if (strange !== undefined) return [strange];
  if (field.listable && asked.permits.fields.includes(asked.path)) return [];
  const refused = field.rule(asked);
  return refused === undefined ? [] : [refused];
}

/** An absent group is judged too: a dropped field is a change. */
function judgeGroup(fields: Readonly<Record<string, Field>>, asked: Asked): readonly Objection[] {
  if (asked.value !== undefined && !isObject(asked.value)) return [objection(asked, "expected an object")];
  const names = new Set([...Object.keys(asked.value ?? {}), ...Object.keys(asked.built ?? {})]);
  return [...names].flatMap((name) => {
    const path = asked.path === "" ? name : `${asked.path}.${name}`;
    const inner = { ...asked, path, value: member(asked.value, name), built: member(asked.built, name) };
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    return field === undefined ? [objection(inner, UNKNOWN)] : judge(field, inner);
  });
}

// The Engine does not mind the case of a name: `privileged` would be Privileged to it.
const UNKNOWN = "the guard does not know this field, and the Engine might";

/** The first part of a value that its shape does not name. */
function unknownIn(shape: Shape, value: Plain | undefined, path: string): Objection | undefined {
  if (typeof value !== "object") return undefined;
  if (isList(value)) {
    const { items } = shape;
    if (items === undefined) return objection({ path, value }, "expected no list");
    return firstOf(value.map((item, index) => () => unknownIn(items, item, `${path}[${index}]`)));
  }
  return firstOf(
    Object.entries(value).map(([name, inner]) => () => {
      const at = `${path}.${name}`;
      const known = shape.fields !== undefined && Object.hasOwn(shape.fields, name) ? shape.fields[name] : shape.values;
      return known === undefined ? objection({ path: at, value: inner }, UNKNOWN) : unknownIn(known, inner, at);
    }),
  );
}

function firstOf(checks: readonly (() => Objection | undefined)[]): Objection | undefined {
  for (const check of checks) {
    const found = check();
    if (found !== undefined) return found;
  }
  return undefined;
}

const MOST_NAMED = 5;

function refusal(objections: readonly Objection[]): CallError {
  const named = objections.slice(0, MOST_NAMED).map(({ path, value, why, permit }) => {
    const allow = permit === undefined ? "" : `; the allow-list file can allow it with \`${permit}\``;
    return `${path} ${value === undefined ? "is missing" : `= ${brief(value)}`}: ${why}${allow}`;
  });
  const more = objections.length > MOST_NAMED ? `, and ${objections.length - MOST_NAMED} more` : "";
  return new CallError("guard_refused", `The guard refused ${named.join(". ")}${more}`);
}

function brief(value: Plain): string {
  const text = JSON.stringify(value);
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}
