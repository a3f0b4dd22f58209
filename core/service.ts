import { once } from "node:events";
import { parseArgs } from "node:util";

import {
  describeSettings,
  readSettings,
  unknownSettings,
  type Environment,
  type Setting,
  type SettingTable,
  type Settings,
} from "./config.ts";
import { collectLessOften } from "./heap.ts";
import { createLog, flushLog, type Log, type LogLevel } from "./log.ts";
import { stopOnSignals } from "./stop-requests.ts";
import { WORKER_SETTINGS, workerCount } from "./workers/settings.ts";
import type { Vitals } from "./workers/vitals.ts";
import type { WorkerPlace } from "./workers/worker-place.ts";
import { joinParent, WORKER_FLAG } from "./workers/worker.ts";
import { startWorkers } from "./workers/workers.ts";

/** A program that serves until it is told to stop. */
export interface Service<Table extends SettingTable, Option extends string> {
  /** How it is started, for `--help`. */
  readonly usage: string;
  readonly settings: Table;
  /** Command line options that take a value, with their meaning. */
  readonly options: Readonly<Record<Option, string>>;
  /**
   * Shares these settings out between so many workers. @returns what differs for one of them
   * @throws Error where they cannot be
   */
  share(settings: Settings<Table>, workers: number): Promise<(place: WorkerPlace) => Partial<Settings<Table>>>;
  start(input: ServiceInput<Table, Option>): Promise<Running>;
  /** How long it may take to clean up once it no longer waits for calls; none unless it says so. */
  cleanUpMs?(settings: Settings<Table>): number;
}

export interface ServiceInput<Table extends SettingTable, Option extends string> {
  readonly settings: Settings<Table>;
  readonly options: Readonly<Partial<Record<Option, string>>>;
  readonly log: Log;
  /** Where this process is one of several. */
  readonly worker?: { readonly number: number; readonly count: number; readonly whole: Vitals } | undefined;
}

/** What serves. Disposing it drains; resolves when nothing of it is left. */
interface Served extends AsyncDisposable {
  /** `host:port`, as it is reached. */
  readonly address: string;
  /** Where its operator finds metrics and health, `host:port`. */
  readonly admin?: string | undefined;
  /** Aborted once it can serve no longer. */
  readonly lost?: AbortSignal;
  /** Ends what it waits for: the operator asked a second time. */
  hurry?(): void;
  /** How it ended, once it is disposed: 0 for well, and so where it does not say. */
  exitCode?(): number;
}

/** A service in this process. */
export interface Running extends Served {
  readonly vitals: Vitals;
}

/** Settings that every service has. */
type CommonTable = typeof WORKER_SETTINGS & {
  readonly FN_LOG_LEVEL: Setting<LogLevel>;
  readonly FN_LOG_FORMAT: Setting<"text" | "json">;
  readonly FN_DRAIN_MSECS: Setting<number>;
};

/**
 * Runs a service in this process, or in several that this one starts and watches over: `--help`, `--workers`, settings
 * with all their faults at once, a ready line of JSON on stdout, and an orderly end on SIGINT, SIGTERM, SIGHUP, or when
 * the parent that watches over it is gone.
 */
export async function runService<Table extends SettingTable & CommonTable, Option extends string>(
  service: Service<Table, Option>,
  program: NodeJS.Process,
  env: Environment,
): Promise<void> {
  collectLessOften();
  const worker = await joinParent(program);
  // Never disposed: until the very end a signal asks for what is under way already.
  const stop = worker?.stop ?? stopOnSignals(program);
  const { asked, hurried } = stop;
  // A closed terminal, or a reader that left, must not end the process before it has cleaned up.
  program.stdout.on("error", () => {});
  program.stderr.on("error", () => {});
  try {
    const args = program.argv.slice(2);
    const options = readOptions(
      service,
      worker === undefined ? args : args.filter((arg) => !arg.startsWith(WORKER_FLAG)),
    );
    if (options === "help") return void program.stdout.write(help(service));
    const settings = { ...readSettings(service.settings, env), ...worker?.settings };
    const common: Settings<CommonTable> = settings;
    const workers = workerCount(options.workers, common);
    const log = createLog(
      { level: common.FN_LOG_LEVEL, format: common.FN_LOG_FORMAT },
      worker === undefined ? {} : { worker: worker.number },
    );
    if (worker === undefined) for (const warning of unknownSettings(env, service.settings)) log.warn(warning);
    // A fault in one call's code must not end the others; it is a defect all the same, so it is said loudly.
    program.on("unhandledRejection", (reason) => log.error("Unhandled rejection, please report it", { reason }));

    const given = { settings, options, log, worker: worker === undefined ? undefined : { ...worker, count: workers } };
    let running: Served;
    if (worker === undefined) {
      running = await (workers === 1
        ? service.start(given)
        : startWorkers({
            count: workers,
            settingsOf: await service.share(settings, workers),
            restartMaxMs: common.FN_WORKER_RESTART_MAX_MSECS,
            drainMs: common.FN_DRAIN_MSECS,
            cleanUpMs: service.cleanUpMs?.(settings) ?? 0,
            stop,
            log,
          }));
      const ready = JSON.stringify({ ready: true, address: running.address, admin: running.admin });
      // Whoever asked it to stop meanwhile waits for its end alone, and not all of it may serve.
      if (!asked.aborted) program.stdout.write(`${ready}\n`);
    } else {
      const served = await service.start(given);
      worker.ready(served);
      running = served;
    }
    hurried.addEventListener("abort", () => running.hurry?.(), { once: true });
    const over = running.lost === undefined ? asked : AbortSignal.any([asked, running.lost]);
    if (!over.aborted) await once(over, "abort");
    log.info("Stopping");
    if (hurried.aborted) running.hurry?.();
    await running[Symbol.asyncDispose]();
    log.info("Stopped");
    program.exitCode = running.exitCode?.() ?? 0;
  } catch (error) {
    flushLog();
    program.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    program.exitCode = 1;
  } finally {
    if (program.connected) program.disconnect();
  }
}

type Options<Option extends string> = Readonly<Partial<Record<Option | "workers", string>>>;

function readOptions<Table extends SettingTable, Option extends string>(
  service: Service<Table, Option>,
  args: readonly string[],
): Options<Option> | "help" {
  const known = Object.fromEntries(Object.keys(service.options).map((name) => [name, { type: "string" as const }]));
  const common = { workers: { type: "string" }, help: { type: "boolean" } } as const;
  try {
    const { values } = parseArgs({ args: [...args], options: { ...known, ...common } });
    if (values.help === true) return "help";
    return values as Options<Option>;
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n\n${help(service)}`, { cause: error });
  }
}

function help<Table extends SettingTable, Option extends string>(service: Service<Table, Option>): string {
  const options = Object.entries<string>(service.options).map(
    ([name, meaning]) => `  --${name} FILE\n      ${meaning}`,
  );
  options.push(`  --workers N\n      ${WORKER_SETTINGS.FN_WORKERS.meaning}`);
  return `Usage: ${service.usage}\n\n${options.join("\n")}\n\nSettings, from the environment:\n${describeSettings(service.settings)}\n`;
}
