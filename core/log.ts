import { clearTimeout, setTimeout } from "node:timers";

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
  readonly write?: (line: string, level: LogLevel) => void;
  readonly now?: () => Date;
}

const ORDER: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };

/** Whether lines of this level are written where `least` is the least that is. */
export function isLogged(level: LogLevel, least: LogLevel): boolean {
  return ORDER[level] >= ORDER[least];
}

export function createLog(options: LogOptions = {}, fields: LogFields = {}): Log {
  const { level = "info", format = "text", now = () => new Date() } = options;
  const write = options.write ?? writeToStderr;
  const render = format === "json" ? jsonLine : textLine;
  const none = Object.keys(fields).length === 0;
  const at = (lineLevel: LogLevel) => (message: string, extra?: LogFields) => {
    if (!isLogged(lineLevel, level)) return;
    const all = none ? (extra ?? fields) : { ...fields, ...extra };
    write(`${render(isoTime(now().getTime()), lineLevel, message, all)}\n`, lineLevel);
  };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    with: (more) => createLog(options, { ...fields, ...more }),
  };
}

/** How long a line that nobody waits for may wait for others to be written with. */
const LINGER_MS = 10;
/** What one write to a pipe that other processes write to as well keeps in one piece: PIPE_BUF of Linux. */
const MOST_UNWRITTEN_BYTES = 4_096;

let unwritten = "";
let unwrittenBytes = 0;
let watching = false;
let lingering: NodeJS.Timeout | undefined;

/** One write for many lines: each is a system call. What somebody must hear is written at once. */
function writeToStderr(line: string, level: LogLevel): void {
  if (!watching) process.on("exit", flushLog);
  watching = true;
  const bytes = Buffer.byteLength(line);
  if (unwrittenBytes + bytes > MOST_UNWRITTEN_BYTES) flushLog();
  unwritten += line;
  unwrittenBytes += bytes;
  lingering ??= setTimeout(flushLog, LINGER_MS).unref();
  if (level === "warn" || level === "error" || unwrittenBytes >= MOST_UNWRITTEN_BYTES) flushLog();
}

/** Writes the lines that still wait: what goes to stderr without the log must not come before them. */
export function flushLog(): void {
  clearTimeout(lingering);
  lingering = undefined;
  if (unwritten === "") return;
  const lines = unwritten;
  unwritten = "";
  unwrittenBytes = 0;
  process.stderr.write(lines);
}

/** A log that says nothing, for embedders and tests. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {}, with: () => silentLog };

let shownSecond = { at: NaN, text: "" };

/** As `toISOString` has it, which takes as long as the rest of a line: most lines share their second with the last one. */
function isoTime(ms: number): string {
  const second = Math.floor(ms / 1_000);
  if (second !== shownSecond.at)
    shownSecond = { at: second, text: new Date(second * 1_000).toISOString().slice(0, -4) };
  return `${shownSecond.text}${String(1_000 + (ms - second * 1_000)).slice(1)}Z`;
}

function jsonLine(time: string, level: LogLevel, message: string, fields: LogFields): string {
  return JSON.stringify({ time, level, message, ...fields }, (_key, value: unknown) =>
    value instanceof Error ? describe(value) : value,
  );
}

function textLine(time: string, level: LogLevel, message: string, fields: LogFields): string {
  let line = `${time} ${level.padEnd(5)} ${message}`;
  for (const key in fields) {
    const value = fields[key];
    if (value !== undefined) line += ` ${key}=${typeof value === "number" ? value : plain(value)}`;
  }
  return line;
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
