export type SqlValue = string | number | null;

/** A statement with its values apart from its text: what is in `${}` never becomes SQL. */
export interface Sql {
  readonly strings: readonly string[];
  readonly values: readonly (SqlValue | Sql)[];
}

/**
 * Writes SQL that both databases understand.
 * @example sql`select id from apps where name = ${name}`
 */
export function sql(strings: TemplateStringsArray, ...values: readonly (SqlValue | Sql)[]): Sql {
  return { strings, values };
}

/** Conditions that must all hold; none at all is true. */
export function all(conditions: readonly Sql[]): Sql {
  return conditions.reduce((left, right) => sql`${left} and ${right}`, sql`1 = 1`);
}

/** The text as a database takes it, and its values in order. `placeholder` is given 1 for the first. */
export function rendered(statement: Sql, placeholder: (n: number) => string): { text: string; values: SqlValue[] } {
  const values: SqlValue[] = [];
  const write = ({ strings, values: parts }: Sql): string =>
    strings
      .map((string, i) => {
        const part = parts[i];
        if (i >= parts.length || part === undefined) return string;
        if (typeof part === "object" && part !== null) return string + write(part);
        return string + placeholder(values.push(part));
      })
      .join("");
  return { text: write(statement), values };
}
