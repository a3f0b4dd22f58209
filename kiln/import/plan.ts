import { isDeepStrictEqual } from "node:util";

import type { Item, Kind } from "./inventory.ts";

/** What an import does with one item. */
export type Step = { readonly item: Item } & (
  | { readonly change: "create" }
  | { readonly change: "same" }
  /** `fields` are the names of what differs, and `body` changes them. */
  | { readonly change: "update"; readonly fields: readonly string[]; readonly body: Readonly<Record<string, unknown>> }
  | { readonly change: "conflict"; readonly reason: string }
);

/** What Fn's API lets nobody change, and an import therefore cannot. */
const FIXED: Readonly<Record<Kind, readonly string[]>> = {
  app: ["name", "shape"],
  fn: ["name", "app_id"],
  trigger: ["app_id", "type"],
};

/**
 * What makes a server have all that another has, with the same ids. What only the first has stays as it is.
 * @param source, target each item after what it needs
 */
export function planImport(source: readonly Item[], target: readonly Item[]): readonly Step[] {
  const there = new Map(target.map((item) => [key(item.kind, item.id), item]));
  const taken = new Map(target.flatMap((item) => uniques(item).map((unique) => [unique, item] as const)));
  const brought = new Set(source.map(({ kind, id }) => key(kind, id)));
  const stuck = new Set<string>();
  return source.map((item) => {
    const current = there.get(key(item.kind, item.id));
    const reason = needs(item).some((need) => stuck.has(need))
      ? "what it belongs to is in conflict"
      : current === undefined
        ? takenBy(item, taken, brought)
        : fixedDifference(item, current);
    if (reason !== undefined) {
      stuck.add(key(item.kind, item.id));
      return { item, change: "conflict", reason };
    }
    if (current === undefined) return { item, change: "create" };
    const body = difference(item, current);
    const fields = Object.entries(body).flatMap(([name, value]) => named(name, value));
    return fields.length === 0 ? { item, change: "same" } : { item, change: "update", fields, body };
  });
}

function key(...parts: readonly string[]): string {
  return parts.join("\0");
}

function field(item: Item, name: string): string {
  const value = item.fields[name];
  return typeof value === "string" ? value : "";
}

/** What no two items may share. */
function uniques(item: Item): readonly string[] {
  const { kind, name, appId } = item;
  if (kind === "app") return [key("app name", name)];
  if (kind === "fn") return [key("fn name", appId, name)];
  return [
    key("trigger name", appId, field(item, "fn_id"), name),
    key("trigger source", appId, field(item, "type"), field(item, "source")),
  ];
}

function needs(item: Item): readonly string[] {
  if (item.kind === "app") return [];
  return item.kind === "fn" ? [key("app", item.appId)] : [key("fn", field(item, "fn_id"))];
}

/** One that the import changes too may give way: whether it did is seen when its turn comes. */
function takenBy(item: Item, taken: ReadonlyMap<string, Item>, brought: ReadonlySet<string>): string | undefined {
  for (const unique of uniques(item)) {
    const other = taken.get(unique);
    if (other === undefined || brought.has(key(other.kind, other.id))) continue;
    const what = unique.startsWith("trigger source") ? `source ${field(item, "source")}` : `name "${item.name}"`;
    return `its ${what} is taken there, by id ${other.id}`;
  }
  return undefined;
}

function fixedDifference(item: Item, current: Item): string | undefined {
  const name = FIXED[item.kind].find((one) => field(item, one) !== field(current, one));
  if (name === undefined) return undefined;
  return `its ${name} there is "${field(current, name)}" instead of "${field(item, name)}", and cannot be changed`;
}

/** The body of a change: maps with the keys that differ, null for those that are to go. */
function difference(item: Item, current: Item): Readonly<Record<string, unknown>> {
  const body: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(item.fields)) {
    const before = current.fields[name];
    if (value === undefined || isDeepStrictEqual(value, before)) continue;
    if (!isMap(value)) body[name] = value;
    else {
      const changes = mapDifference(value, isMap(before) ? before : {});
      if (Object.keys(changes).length > 0) body[name] = changes;
    }
  }
  return body;
}

function mapDifference(wanted: Map, before: Map): Map {
  const gone = Object.keys(before).filter((name) => !Object.hasOwn(wanted, name));
  const changed = Object.entries(wanted).filter(([name, value]) => !isDeepStrictEqual(value, before[name] ?? ""));
  return Object.fromEntries([...changed, ...gone.map((name) => [name, null] as const)]);
}

type Map = Readonly<Record<string, unknown>>;

function isMap(value: unknown): value is Map {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Names alone: what is in a config may be secret. */
function named(name: string, value: unknown): readonly string[] {
  return isMap(value) ? Object.keys(value).map((inner) => `${name}.${inner}`) : [name];
}
