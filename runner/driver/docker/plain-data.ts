/** What JSON can say, without null: for the Engine a null field is an absent one. */
export type Plain = string | number | boolean | readonly Plain[] | PlainObject;
export interface PlainObject {
  readonly [key: string]: Plain;
}

const MOST = { depth: 16, values: 20_000, characters: 4_194_304 } as const;

/**
 * Copies plain data, reading every value exactly once: what is then checked is what is sent, whatever getters,
 * proxies or later changes there are to the original. @throws TypeError naming what is no plain data, and where
 */
export function plainCopy(value: unknown): Plain | undefined {
  const left = { values: MOST.values, characters: MOST.characters };

  const count = (path: string, characters: number) => {
    left.values -= 1;
    left.characters -= characters;
    if (left.values < 0 || left.characters < 0) throw new TypeError(`${path || "options"} holds too much data`);
  };

  const copy = (original: unknown, path: string, depth: number): Plain | undefined => {
    if (original === undefined || original === null) return undefined;
    if (depth > MOST.depth) throw notPlain(path, "too deep, or holds itself");
    count(path, typeof original === "string" ? original.length : 0);
    if (typeof original === "string" || typeof original === "boolean") return original;
    if (typeof original === "number") {
      if (!Number.isFinite(original)) throw notPlain(path, String(original));
      return original;
    }
    if (typeof original !== "object") throw notPlain(path, `a ${typeof original}`);
    return Array.isArray(original) ? copyList(original, path, depth) : copyObject(original, path, depth);
  };

  const copyList = (original: readonly unknown[], path: string, depth: number): readonly Plain[] => {
    const { length } = original;
    return Array.from({ length }, (_, index) => {
      const at = `${path}[${index}]`;
      const item = copy(readOnce(original, String(index), at), at, depth + 1);
      if (item === undefined) throw notPlain(at, "a list item of null or undefined");
      return item;
    });
  };

  const copyObject = (original: object, path: string, depth: number): PlainObject => {
    const prototype: unknown = Object.getPrototypeOf(original);
    if (prototype !== Object.prototype && prototype !== null) throw notPlain(path, "an instance of a class");
    const copied: Record<string, Plain> = emptyObject();
    for (const key of Object.keys(original)) {
      const at = path === "" ? key : `${path}.${key}`;
      count(at, key.length);
      const item = copy(readOnce(original, key, at), at, depth + 1);
      if (item !== undefined) copied[key] = item;
    }
    return copied;
  };

  return copy(value, "", 0);
}

/** Without a prototype: no key, not even `__proto__`, means anything. */
function emptyObject(): Record<string, Plain> {
  return Object.create(null) as Record<string, Plain>;
}

function readOnce(holder: object, key: string, path: string): unknown {
  const property = Object.getOwnPropertyDescriptor(holder, key);
  if (property?.get !== undefined || property?.set !== undefined) throw notPlain(path, "computed by a getter");
  return property?.value;
}

function notPlain(path: string, what: string): TypeError {
  return new TypeError(`${path || "options"} is ${what}, expected plain data`);
}
