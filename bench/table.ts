import { spread } from "./statistics.ts";

export interface Table {
  readonly title: string;
  /** Empty where there is nothing but the title to say. */
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** `12.3 (11.0..14.2)`: the median, and the least and the most of all rounds. */
export function shownSpread(values: readonly number[], digits = 0): string {
  const { median, min, max } = spread(values);
  return `${median.toFixed(digits)} (${min.toFixed(digits)}..${max.toFixed(digits)})`;
}

export function textTable({ title, head, rows }: Table): string {
  if (head.length === 0) return `${title}\n`;
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => (row[column] ?? "").length)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  return [title, "", line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line), ""].join("\n");
}

export function markdownTable({ title, head, rows }: Table): string {
  if (head.length === 0) return `**${title}**\n`;
  const line = (row: readonly string[]) => `| ${row.join(" | ")} |`;
  return [`**${title}**`, "", line(head), line(head.map(() => "---")), ...rows.map(line), ""].join("\n");
}
