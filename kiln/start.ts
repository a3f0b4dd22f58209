import { join, relative } from "node:path";

import type { Environment, Setting } from "../core/config.ts";
import type { StopRequests } from "../core/stop-requests.ts";
import { buildExampleImages } from "../examples/functions/build.ts";
import { GATEWAY_SETTINGS } from "../gateway/settings.ts";
import { RUNNER_SETTINGS } from "../runner/settings.ts";
import type { Child, ChildPlan } from "./child.ts";
import { chooseDriver, type DriverChoice } from "./choose-driver.ts";
import type { Write } from "./command.ts";
import { type DevPki, ensureDevPki } from "./dev-pki.ts";
import { installationId } from "./installation-id.ts";
import type { StartArgs } from "./start-args.ts";
import { gatewayEnv, runnerEnv, startWarnings } from "./start-env.ts";
import { supervise } from "./supervisor.ts";

/** Where this Kiln lies. */
const clone = join(import.meta.dirname, "..");
const ownState = join(clone, ".kiln");
const exampleFunctions = join(clone, "examples/functions");

export interface StartOptions {
  readonly args: StartArgs;
  readonly env: Environment;
  readonly stop: StopRequests;
  readonly write: Write;
  /** Where warnings and faults are told. */
  readonly complain: Write;
  /** What to run. */
  readonly mains?: { readonly gateway: string; readonly runner: string };
  /** Keeps certificates and the installation's name from one start to the next. */
  readonly stateDirectory?: string;
}

/** Above what each process allows its calls by itself. */
const GRACE_MS = 10_000;

/** Runs a gateway and a runner until a stop is asked for. @returns the exit code @throws Error if they cannot be started */
export async function start(options: StartOptions): Promise<number> {
  const { env, stop, write, complain } = options;
  for (const warning of startWarnings(env)) complain(`${warning}\n`);
  const prepared = await prepare(options);
  if (stop.asked.aborted) return 0;
  const stopping = () => write("Stopping once running calls have ended; Ctrl-C again does not wait for them.\n");
  stop.asked.addEventListener("abort", stopping, { once: true });
  const ready = (children: readonly Child[]) => write(welcome(children, prepared.functions));
  const plans = [
    () => runnerPlan(options, prepared),
    ([runner]: readonly Child[]) => gatewayPlan(options, prepared, runner),
  ];
  return supervise({ plans, stop, ready, complain });
}

interface Prepared {
  readonly choice: DriverChoice;
  readonly pki: DevPki;
  readonly installation: string;
  readonly functions: FunctionsFile;
}

async function prepare({ env, stop, write, stateDirectory = ownState }: StartOptions): Promise<Prepared> {
  const choice = await chooseDriver(env);
  write(`${choice.sentence}\n`);
  const pki = await devPki(join(stateDirectory, "pki"), write);
  const installation = await installationId(stateDirectory);
  const functions = await unlessHurried(functionsFile(env, choice, write), stop);
  return { choice, pki, installation, functions };
}

function runnerPlan({ env, args, mains = ownMains }: StartOptions, { choice, pki, installation }: Prepared): ChildPlan {
  const defaults = {
    FN_DRIVER: choice.driver,
    FN_INSTALLATION_ID: installation,
    FN_PROCESS_FUNCTIONS: exampleFunctions,
  };
  return {
    name: "runner",
    main: mains.runner,
    args: args.runner,
    env: runnerEnv(env, pki.runner, defaults),
    graceMs: graceMs(env, RUNNER_SETTINGS, ["FN_DRAIN_MSECS", "FN_DRAIN_REMOVE_MSECS"]),
  };
}

function gatewayPlan(
  { env, args, mains = ownMains, stateDirectory = ownState }: StartOptions,
  { pki, functions }: Prepared,
  runner: Child | undefined,
): ChildPlan {
  const defaults = { FN_FUNCTIONS_FILE: functions.path, FN_DB_URL: `sqlite3:${join(stateDirectory, "fn.db")}` };
  return {
    name: "gateway",
    main: mains.gateway,
    args: args.gateway,
    env: gatewayEnv(env, pki.gateway, runner?.address ?? "", defaults),
    graceMs: graceMs(env, GATEWAY_SETTINGS, ["FN_DRAIN_MSECS", "FN_DB_TIMEOUT_MSECS"]),
  };
}

const ownMains = { gateway: join(clone, "gateway/main.ts"), runner: join(clone, "runner/main.ts") };

interface FunctionsFile {
  readonly path: string;
  /** The curl line that invokes one of them. */
  curl(origin: string): string;
}

/** The user's functions, or the examples, whose images are made here if they are to run in containers. */
async function functionsFile(env: Environment, choice: DriverChoice, write: Write): Promise<FunctionsFile> {
  const own = env["FN_FUNCTIONS_FILE"] ?? "";
  if (own !== "") return { path: own, curl: (origin) => `curl -d '{}' ${origin}/invoke/FUNCTION_ID` };
  if (choice.driver === "docker") {
    await buildExampleImages(choice.docker, ["hello", "probe"], (line) => write(`${line}\n`));
  }
  return {
    path: join(exampleFunctions, "functions.yaml"),
    curl: (origin) => `curl -d '{"name":"you"}' ${origin}/invoke/hello`,
  };
}

/** A build cannot be cancelled, and half of one leaves a container behind: a first stop waits for it, a second does not. */
async function unlessHurried<T>(work: Promise<T>, { hurried }: StopRequests): Promise<T> {
  const left = Promise.withResolvers<never>();
  hurried.addEventListener("abort", () => left.reject(new Error("Stopped in the middle of a build")), { once: true });
  return Promise.race([work, left.promise]);
}

async function devPki(directory: string, write: Write): Promise<DevPki> {
  const pki = await ensureDevPki(directory);
  if (pki.madeBecause !== undefined)
    write(`Made development certificates in ${shown(directory)}: ${pki.madeBecause}.\n`);
  return pki;
}

/** As long as the process may take by these settings when it is told to end, and some time for all else. */
function graceMs<Name extends string>(
  env: Environment,
  table: Readonly<Record<Name, Setting<number>>>,
  names: readonly Name[],
): number {
  const given = names.map((name) => {
    const ms = Number(env[name] || table[name].fallback);
    return Number.isFinite(ms) ? ms : table[name].fallback;
  });
  return given.reduce((sum, ms) => sum + ms, GRACE_MS);
}

function welcome([runner, gateway]: readonly Child[], functions: FunctionsFile): string {
  // An address to listen on, such as 0.0.0.0, is not always one to dial.
  const origin = `http://${gateway?.address.replace(/^(?:0\.0\.0\.0|\[::\]):/, "127.0.0.1:")}`;
  return [
    "",
    `  gateway    ${origin}`,
    `  runner     ${runner?.address} (for the gateway only)`,
    `  functions  ${shown(functions.path)}`,
    "",
    `  ${functions.curl(origin)}`,
    "",
    "Ctrl-C ends everything.",
    "",
  ].join("\n");
}

function shown(path: string): string {
  const fromHere = relative(process.cwd(), path);
  return fromHere.startsWith("..") ? path : fromHere;
}
