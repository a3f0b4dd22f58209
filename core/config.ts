import { readFileSync } from "node:fs";

import { nearestName } from "./nearest-name.ts";

/** One environment variable: its type, default and meaning, said once for reading, `--help` and README. */
export interface Setting<T> {
  readonly type: string;
  readonly fallback: T;
  readonly meaning: string;
  /** Its value is never shown. */
  readonly secret?: boolean;
  /** Reads a set value. @throws Error saying what was expected */
  parse(text: string): T;
}

export type SettingTable = Readonly<Record<string, Setting<unknown>>>;
export type Settings<Table extends SettingTable> = {
  readonly [Name in keyof Table]: Table[Name] extends Setting<infer T> ? T : never;
};
export type Environment = Readonly<Record<string, string | undefined>>;

export function text(fallback: string, meaning: string): Setting<string> {
  return { type: "text", fallback, meaning, parse: (value) => value };
}

export function secretText(meaning: string): Setting<string> {
  return { ...text("", meaning), secret: true };
}

/** Words separated by commas or whitespace. */
export function words(fallback: readonly string[], meaning: string): Setting<readonly string[]> {
  return { type: "words", fallback, meaning, parse: split };
}

function split(value: string): readonly string[] {
  return value.split(/[\s,]+/).filter((word) => word !== "");
}

/** Words, each of them one of these. */
export function choices<const T extends string>(
  options: readonly T[],
  fallback: readonly T[],
  meaning: string,
): Setting<readonly T[]> {
  return {
    type: "words",
    fallback,
    meaning: `${meaning}: ${options.join(", ")}`,
    parse: (value) => split(value).map((word) => oneOf(options, word)),
  };
}

export function choice<const T extends string>(options: readonly T[], fallback: T, meaning: string): Setting<T> {
  return {
    type: options.join("|"),
    fallback,
    meaning,
    parse: (value) => oneOf(options, value),
  };
}

function oneOf<T extends string>(options: readonly T[], value: string): T {
  const found = options.find((option) => option === value);
  if (found === undefined) throw new Error(`one of ${options.join(", ")}`);
  return found;
}

export function flag(fallback: boolean, meaning: string): Setting<boolean> {
  return {
    type: "true|false",
    fallback,
    meaning,
    parse(value) {
      if (/^(1|t|true)$/i.test(value)) return true;
      if (/^(0|f|false)$/i.test(value)) return false;
      throw new Error("true or false");
    },
  };
}

/** True or false, or what the program finds to be possible. */
export function autoFlag(meaning: string): Setting<boolean | "auto"> {
  const { parse } = flag(false, meaning);
  return {
    type: "auto|true|false",
    fallback: "auto",
    meaning,
    parse: (value) => (value === "auto" ? "auto" : parse(value)),
  };
}

export function integer(
  fallback: number,
  meaning: string,
  { min = 0, max = Number.MAX_SAFE_INTEGER }: { min?: number; max?: number } = {},
): Setting<number> {
  return {
    type: integerType(min, max),
    fallback,
    meaning,
    parse(value) {
      const number = Number(value);
      if (!/^-?\d+$/.test(value) || number < min || number > max) throw new Error(`an ${this.type}`);
      return number;
    },
  };
}

/** A port to listen on, or none where it is not set; 0 takes a free one. */
export function optionalPort(meaning: string): Setting<number | undefined> {
  const { type, parse } = integer(0, "", { max: 65_535 });
  return { type: `${type}, or none`, fallback: undefined, meaning, parse };
}

function integerType(min: number, max: number): string {
  if (max !== Number.MAX_SAFE_INTEGER) return `integer ${min} to ${max}`;
  return min === Number.MIN_SAFE_INTEGER ? "integer" : `integer from ${min}`;
}

/**
 * Reads a table from an environment. `NAME_FILE` names a file that holds the value of `NAME`.
 * @throws Error with one line per bad value: name, value (unless secret) and what was expected
 */
export function readSettings<Table extends SettingTable>(table: Table, env: Environment): Settings<Table> {
  const faults: string[] = [];
  const values = Object.entries(table).map(([name, setting]) => {
    try {
      const raw = rawValue(name, env);
      return [name, raw === undefined || raw === "" ? setting.fallback : setting.parse(raw)] as const;
    } catch (error) {
      const shown = setting.secret === true ? "its value (secret)" : JSON.stringify(env[name] ?? env[`${name}_FILE`]);
      faults.push(`${name} is ${shown}, expected ${error instanceof Error ? error.message : String(error)}`);
      return [name, setting.fallback] as const;
    }
  });
  if (faults.length > 0) throw new Error(`Cannot start with this configuration:\n  ${faults.join("\n  ")}`);
  return Object.fromEntries(values) as Settings<Table>;
}

/** A warning for each `FN_` name that no table knows, with the nearest that one does. */
export function unknownSettings(env: Environment, ...tables: readonly SettingTable[]): readonly string[] {
  const known = tables.flatMap((table) => Object.keys(table));
  return listed(env)
    .filter((name) => name.startsWith("FN_") && !known.includes(name) && !known.includes(name.replace(/_FILE$/, "")))
    .map((name) => `${name} is not a setting; the nearest is ${nearestName(name, known) ?? "none"}`);
}

/** The names that are set. None on Deno with `--allow-env=FN_*`, which may read them and not list them. */
function listed(env: Environment): readonly string[] {
  try {
    return Object.keys(env);
  } catch {
    return [];
  }
}

/** The table as text for `--help`, one setting a line. */
export function describeSettings(table: SettingTable): string {
  return Object.entries(table)
    .map(
      ([name, { type, fallback, meaning }]) =>
        `  ${name}\n      ${meaning} (${type}; default ${shownDefault(fallback)})`,
    )
    .join("\n");
}

export function shownDefault(fallback: unknown): string {
  const given = [fallback].flat().filter((value) => value !== "" && value !== undefined);
  return given.length === 0 ? "none" : given.join(" ");
}

function rawValue(name: string, env: Environment): string | undefined {
  const file = env[`${name}_FILE`];
  const own = env[name]?.trim();
  if ((own !== undefined && own !== "") || file === undefined || file === "") return own;
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    throw new Error(`the name of a readable file in ${name}_FILE`);
  }
}
