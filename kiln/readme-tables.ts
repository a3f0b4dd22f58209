import { readFile, writeFile } from "node:fs/promises";

import { shownDefault, type SettingTable } from "../core/config.ts";
import { ERROR_CODES } from "../core/error-codes.ts";
import { GATEWAY_SETTINGS } from "../gateway/settings.ts";
import { RUNNER_SETTINGS } from "../runner/settings.ts";

export const README = new URL("../README.md", import.meta.url);

/** The text with its tables as the code has them now; each stands between two comments with its name. */
export function withTables(text: string): string {
  const tables = {
    "gateway settings": settingsTable(GATEWAY_SETTINGS),
    "runner settings": settingsTable(RUNNER_SETTINGS),
    "error codes": errorTable(),
  };
  return Object.entries(tables).reduce((whole, [name, table]) => {
    const place = new RegExp(`(<!-- ${name} -->\n)[^]*?(<!-- end of ${name} -->)`);
    if (!place.test(whole))
      throw new Error(`Cannot place the table "${name}": expected its two comments in the README`);
    return whole.replace(place, (_all, begin: string, end: string) => `${begin}\n${table}\n${end}`);
  }, text);
}

function settingsTable(table: SettingTable): string {
  const rows = Object.entries(table).map(([name, { type, fallback, meaning }]) =>
    row(`\`${name}\``, type.replaceAll("|", " or "), shownDefault(fallback), meaning),
  );
  return [row("name", "type", "default", "meaning"), row("---", "---", "---", "---"), ...rows, ""].join("\n");
}

function errorTable(): string {
  const rows = Object.entries(ERROR_CODES).map(([code, { status, component, retryable, text }]) =>
    row(`\`${code}\``, String(status), component, retryable ? "yes" : "no", text),
  );
  const head = [row("code", "status", "at fault", "retry", "meaning"), row("---", "---", "---", "---", "---")];
  return [...head, ...rows, ""].join("\n");
}

function row(...cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

if (import.meta.main) await writeFile(README, withTables(await readFile(README, "utf8")));
