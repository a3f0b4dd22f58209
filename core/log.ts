export type LogFields = Readonly<Record<string, unknown>>;
export type LogLevel = "debug" | "info" | "warn" | "error";

/** Structured lines: a constant message to search for, and fields that say which and why. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same log with these fields on every line. */
  with(fields: LogFields): Log;
}

export interface LogOptions {
  readonly level?: LogLevel;
  readonly format?: "text" | "json";
  readonly write?: (line: string) => void;
  readonly now?: () => Date;
}

const ORDER: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };

/** Whether lines of this level are written where `least` is the least that is. */
export function isLogged(level: LogLevel, least: LogLevel): boolean {
  return ORDER[level] >= ORDER[least];
}

export function createLog(options: LogOptions = {}, fields: LogFields = {}): Log {
  const { level = "info", format = "text", now = () => new Date() } = options;
  const write = options.write ?? ((line: string) => process.stderr.write(line));
  const render = format === "json" ? jsonLine : textLine;
  const at = (lineLevel: LogLevel) => (message: string, extra?: LogFields) => {
    if (!isLogged(lineLevel, level)) return;
    write(`${render(now().toISOString(), lineLevel, message, { ...fields, ...extra })}\n`);
  };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    with: (more) => createLog(options, { ...fields, ...more }),
  };
}

/** A log that says nothing, for embedders and tests. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {}, with: () => silentLog };

function jsonLine(time: string, level: LogLevel, message: string, fields: LogFields): string {
  return JSON.stringify({ time, level, message, ...fields }, (_key, value: unknown) =>
    value instanceof Error ? describe(value) : value,
  );
}

function textLine(time: string, level: LogLevel, message: string, fields: LogFields): string {
  const pairs = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}=${plain(value)}`);
  return `${time} ${level.padEnd(5)} ${message}${pairs.join("")}`;
}

function plain(value: unknown): string {
  const text = value instanceof Error ? describe(value) : typeof value === "string" ? value : JSON.stringify(value);
  return /^[\w./:@+-]+$/.test(text) ? text : JSON.stringify(text);
}

/** An error with the causes behind it, on one line. */
function describe(error: Error): string {
  const code = (error as NodeJS.ErrnoException).code;
  const own = `${error.name}: ${error.message}${code === undefined ? "" : ` (${code})`}`;
  return error.cause instanceof Error ? `${own}, because ${describe(error.cause)}` : own;
}
