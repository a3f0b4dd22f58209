import { nearestName } from "../nearest-name.ts";

type AnyFunction = (...args: never[]) => unknown;

/** What a file may export: a name, and the check of one element of the array under it. */
export type PolicyShape = Readonly<Record<string, (value: unknown) => value is AnyFunction>>;

export type Policies<Shape extends PolicyShape> = {
  readonly [Name in keyof Shape]: Shape[Name] extends ((value: unknown) => value is infer F) ? readonly F[] : never;
};

/** An element of a shape. That a function takes what `F` says is its file's promise: nothing can check it here. */
export function functions<F extends AnyFunction>(): (value: unknown) => value is F {
  return (value): value is F => typeof value === "function";
}

/** Two edits away is a slip of the hand, three may be another name. */
const SLIP = 2;

/** The arrays that the shape asks for, of a module. @throws Error saying which export is wrong */
export function functionLists<Shape extends PolicyShape>(module: unknown, shape: Shape): Policies<Shape> {
  const exported = isObject(module) ? module : {};
  const names = Object.keys(shape);
  const missing = names.filter((name) => !(name in exported));
  checkNames(exported, names, missing);
  const lists = Object.entries(shape).map(([name, isElement]) => {
    return [name, missing.includes(name) ? [] : functionList(name, exported[name], isElement)] as const;
  });
  return Object.fromEntries(lists) as Policies<Shape>;
}

function checkNames(exported: object, names: readonly string[], missing: readonly string[]): void {
  const others = Object.keys(exported).filter((name) => !names.includes(name));
  const expected = `expected ${names.length === 1 ? "" : "at least one of "}${names.join(", ")}`;
  // Also when another name is right: a list that is silently left out may be the one that refuses calls.
  for (const other of others) {
    const meant = nearestName(other, missing, SLIP);
    if (meant !== undefined) throw new Error(`it exports "${other}", did you mean "${meant}"?`);
  }
  if (missing.length < names.length) return;
  if (others.length === 0) throw new Error(`it exports nothing, ${expected}`);
  if (others.length === 1 && others[0] === "default") {
    throw new Error(`it has a default export only, ${expected}: write export const ${names[0]} = [...]`);
  }
  throw new Error(`it exports ${others.join(", ")}, ${expected}`);
}

function functionList(name: string, value: unknown, isElement: (value: unknown) => boolean): readonly unknown[] {
  if (!Array.isArray(value))
    throw new Error(`its export "${name}" is ${kindOf(value)}, expected an array of functions`);
  const list: readonly unknown[] = value;
  const wrong = list.findIndex((element) => !isElement(element));
  if (wrong !== -1) throw new Error(`${name}[${wrong}] is ${kindOf(list[wrong])}, expected a function`);
  return [...list];
}

function kindOf(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  if (Array.isArray(value)) return "an array";
  if (value instanceof Promise) return "a promise";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
