import type { GuardPermits } from "./guard-permits.ts";
import type { Plain, PlainObject } from "./plain-data.ts";

/** One field as the guard looks at it. */
export interface Asked {
  readonly path: string;
  /** What the hooks made of it; undefined where it is absent, which for most fields means the daemon's default. */
  readonly value: Plain | undefined;
  /** What the driver had asked for. */
  readonly built: Plain | undefined;
  /** All of the options, where a field's meaning depends on another. */
  readonly options: PlainObject;
  readonly builtOptions: PlainObject;
  readonly permits: GuardPermits;
}

/** Why a field is refused. */
export interface Objection {
  readonly path: string;
  readonly value: Plain | undefined;
  readonly why: string;
  /** The line of the allow-list file that would allow it; undefined where nothing does. */
  readonly permit?: string | undefined;
}

/** Decides on a field whose value is not what the driver built. */
export type Rule = (asked: Asked) => Objection | undefined;

/** Which lists and objects a value may be made of. What it does not name is refused, at any depth. */
export interface Shape {
  readonly fields?: Readonly<Record<string, Shape>>;
  readonly items?: Shape;
  /** For an object with free keys. */
  readonly values?: Shape;
}

export interface ValueField {
  readonly rule: Rule;
  readonly shape: Shape;
  /** Whether the allow-list may name the whole field. */
  readonly listable: boolean;
}

export interface GroupField {
  readonly group: Readonly<Record<string, Field>>;
}

export type Field = ValueField | GroupField;

const SCALAR: Shape = {};
export const LIST: Shape = { items: SCALAR };
export const MAP: Shape = { values: SCALAR };

export const object = (...names: readonly string[]): Shape => ({
  fields: Object.fromEntries(names.map((name) => [name, SCALAR])),
});

export const group = (fields: GroupField["group"]): GroupField => ({ group: fields });

/** A field with a rule of its own, and an allow-list entry of its own. */
export const ruled = (rule: Rule, shape: Shape = SCALAR): ValueField => ({ rule, shape, listable: false });

/** A field with a rule; the allow-list may also name the whole field. */
export const listable = (rule: Rule, shape: Shape = SCALAR): ValueField => ({ rule, shape, listable: true });

export function objection({ path, value }: Pick<Asked, "path" | "value">, why: string, permit?: string): Objection {
  return { path, value, why, permit };
}

/** Must stay as the driver built it, whatever the allow-list says. */
export const fixed = (why: string, shape: Shape = SCALAR): ValueField =>
  ruled((asked) => (saysNothing(asked) ? undefined : objection(asked, why)), shape);

/** Must stay as the driver built it, unless the allow-list names the field. */
export const guarded = (why: string, shape: Shape = SCALAR): ValueField =>
  listable((asked) => (saysNothing(asked) ? undefined : objection(asked, why, `fields: [${asked.path}]`)), shape);

/** The Engine takes an empty value for an absent one; with few exceptions, whose rules do not ask here. */
export function saysNothing({ value, built }: Asked): boolean {
  if (built !== undefined) return false;
  if (typeof value === "object") return Object.keys(value).length === 0;
  return value === undefined || value === false || value === 0 || value === "";
}

/** May be set to whatever the test takes, or be absent. */
const free = (takes: (value: Plain) => boolean, expected: string, shape: Shape): ValueField =>
  ruled((asked) => {
    if (asked.value === undefined || takes(asked.value)) return undefined;
    return objection(asked, `expected ${expected}`);
  }, shape);

export const text = free((value) => typeof value === "string" && !value.includes("\0"), "a string", SCALAR);

export const texts = free((value) => strings(value) !== undefined, "a list of strings", LIST);

/** The Engine splits no string: it takes one as a list of one. */
export const command = free(
  (value) => typeof value === "string" || strings(value) !== undefined,
  "a string or a list of strings",
  LIST,
);

export const flag = free((value) => typeof value === "boolean", "true or false", SCALAR);

export const integer = (min: number, max: number): ValueField =>
  free((value) => isInteger(value, min, max), `an integer from ${min} to ${max}`, SCALAR);

export function isInteger(value: Plain | undefined, min: number, max: number): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max;
}

/** The value as a list of strings; an absent one is empty, and undefined means that it is no such list. */
export function strings(value: Plain | undefined): readonly string[] | undefined {
  if (value === undefined) return [];
  if (!isList(value)) return undefined;
  const texts = value.filter((item) => typeof item === "string" && !item.includes("\0"));
  return texts.length === value.length ? (texts as readonly string[]) : undefined;
}

export function isList(value: Plain | undefined): value is readonly Plain[] {
  return Array.isArray(value);
}

export function isObject(value: Plain | undefined): value is PlainObject {
  return typeof value === "object" && !Array.isArray(value);
}

/** A value in a sentence. */
export function shown(value: Plain | undefined): string {
  return typeof value === "string" ? value : value === undefined ? "nothing" : JSON.stringify(value);
}

/** An object's own members, or none. */
export function members(value: Plain | undefined): readonly (readonly [string, Plain])[] {
  return isObject(value) ? Object.entries(value) : [];
}

export function member(value: Plain | undefined, key: string): Plain | undefined {
  return isObject(value) ? value[key] : undefined;
}
