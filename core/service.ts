import { once } from "node:events";
import { parseArgs } from "node:util";

import {
  describeSettings,
  readSettings,
  unknownSettings,
  type Environment,
  type SettingTable,
  type Settings,
} from "./config.ts";
import { createLog, type Log, type LogLevel } from "./log.ts";
import { stopOnSignals } from "./stop-requests.ts";

/** A program that serves until it is told to stop. */
export interface Service<Table extends SettingTable, Option extends string> {
  /** How it is started, for `--help`. */
  readonly usage: string;
  readonly settings: Table;
  /** Command line options that take a value, with their meaning. */
  readonly options: Readonly<Record<Option, string>>;
  start(input: ServiceInput<Table, Option>): Promise<Running>;
}

export interface ServiceInput<Table extends SettingTable, Option extends string> {
  readonly settings: Settings<Table>;
  readonly options: Readonly<Partial<Record<Option, string>>>;
  readonly log: Log;
}

/** Disposing it drains; resolves when nothing of it is left. */
export interface Running extends AsyncDisposable {
  /** `host:port`, as it is reached. */
  readonly address: string;
  /** Where its operator finds metrics and health, `host:port`. */
  readonly admin?: string | undefined;
  /** Ends what it waits for: the operator asked a second time. */
  hurry?(): void;
  /** How it ended, once it is disposed: 0 for well, and so where it does not say. */
  exitCode?(): number;
}

type LogTable = {
  readonly FN_LOG_LEVEL: { fallback: LogLevel };
  readonly FN_LOG_FORMAT: { fallback: "text" | "json" };
};

/**
 * Runs a service in this process: `--help`, settings with all their faults at once, a ready line of JSON on
 * stdout, and an orderly end on SIGINT, SIGTERM, SIGHUP, or when the parent that watches over it is gone.
 */
export async function runService<Table extends SettingTable & LogTable, Option extends string>(
  service: Service<Table, Option>,
  program: NodeJS.Process,
  env: Environment,
): Promise<void> {
  // Never disposed: until the very end a signal asks for what is under way already.
  const { asked, hurried } = stopOnSignals(program);
  // A closed terminal, or a reader that left, must not end the process before it has cleaned up.
  program.stdout.on("error", () => {});
  program.stderr.on("error", () => {});
  try {
    const options = readOptions(service, program.argv.slice(2));
    if (options === "help") return void program.stdout.write(help(service));
    const settings = readSettings(service.settings, env);
    const log = createLog({ level: settings["FN_LOG_LEVEL"] as LogLevel, format: settings["FN_LOG_FORMAT"] as "text" });
    for (const warning of unknownSettings(env, service.settings)) log.warn(warning);
    // A fault in one call's code must not end the others; it is a defect all the same, so it is said loudly.
    program.on("unhandledRejection", (reason) => log.error("Unhandled rejection, please report it", { reason }));

    const running = await service.start({ settings, options, log });
    hurried.addEventListener("abort", () => running.hurry?.(), { once: true });
    program.stdout.write(`${JSON.stringify({ ready: true, address: running.address, admin: running.admin })}\n`);
    if (!asked.aborted) await once(asked, "abort");
    log.info("Stopping");
    if (hurried.aborted) running.hurry?.();
    await running[Symbol.asyncDispose]();
    log.info("Stopped");
    program.exitCode = running.exitCode?.() ?? 0;
  } catch (error) {
    program.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    program.exitCode = 1;
  } finally {
    if (program.connected) program.disconnect();
  }
}

function readOptions<Table extends SettingTable, Option extends string>(
  service: Service<Table, Option>,
  args: readonly string[],
): Readonly<Partial<Record<Option, string>>> | "help" {
  const known = Object.fromEntries(Object.keys(service.options).map((name) => [name, { type: "string" as const }]));
  try {
    const { values } = parseArgs({ args: [...args], options: { ...known, help: { type: "boolean" } } });
    if (values.help === true) return "help";
    return values as Partial<Record<Option, string>>;
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n\n${help(service)}`, { cause: error });
  }
}

function help<Table extends SettingTable, Option extends string>(service: Service<Table, Option>): string {
  const options = Object.entries<string>(service.options).map(
    ([name, meaning]) => `  --${name} FILE\n      ${meaning}`,
  );
  return `Usage: ${service.usage}\n\n${options.join("\n")}\n\nSettings, from the environment:\n${describeSettings(service.settings)}\n`;
}
