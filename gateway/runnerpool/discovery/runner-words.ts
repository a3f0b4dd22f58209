import type { RunnerLabels } from "../runnerpool.ts";
import { parseRunnerAddress, type RunnerAddress } from "../static-pool.ts";

/** What one word of `FN_RUNNER_ADDRESSES` says. */
export type RunnerWord =
  | { readonly kind: "runner"; readonly runner: RunnerAddress }
  | { readonly kind: "file"; readonly path: string; readonly certName: string }
  | DnsWord;

/** A name that says which runners there are. */
export interface DnsWord {
  readonly kind: "dns" | "dns+srv";
  readonly host: string;
  /** Of all of them; 0 where the records say it. */
  readonly port: number;
  /** What their certificates must carry; `{host}` in it is the record's name of the machine. */
  readonly certName: string;
  readonly labels: RunnerLabels;
}

const EXPECTED =
  "expected host:port, dns://name:port, dns+srv://name or file:PATH, with NAME= before it and ;label=value after it";
const DNS = /^(?:([^=\s]+)=)?(dns|dns\+srv):\/\/([\w.-]+?)(?::(\d{1,5}))?$/;

/** @throws Error naming the text and what was expected */
export function parseRunnerWord(text: string, defaultName: string): RunnerWord {
  const [where = "", ...rest] = text.split(";");
  const labels = parseLabels(text, rest);
  if (where.startsWith("file:")) return { kind: "file", path: pathOf(text, where), certName: defaultName };
  const match = DNS.exec(where);
  if (match === null) return { kind: "runner", runner: parseStatic(text, where, defaultName, labels) };
  const [, certName = defaultName, kind, host = "", port] = match;
  if ((kind === "dns") !== (port !== undefined)) throw unusable(text);
  return { kind: kind as DnsWord["kind"], host, port: Number(port ?? 0), certName, labels };
}

function parseStatic(text: string, where: string, defaultName: string, labels: RunnerLabels): RunnerAddress {
  try {
    return { ...parseRunnerAddress(where, defaultName), labels };
  } catch {
    throw unusable(text);
  }
}

function pathOf(text: string, where: string): string {
  const path = where.replace(/^file:(?:\/\/)?/, "");
  if (path === "") throw unusable(text);
  return path;
}

function parseLabels(text: string, parts: readonly string[]): RunnerLabels {
  const labels = parts.map((part) => /^([\w./-]+)=([\w./-]+)$/.exec(part));
  if (labels.includes(null)) throw unusable(text);
  return Object.fromEntries(labels.map((label) => [label?.[1] ?? "", label?.[2] ?? ""]));
}

function unusable(text: string): Error {
  return new Error(`Cannot use runner address "${text}": ${EXPECTED}`);
}
