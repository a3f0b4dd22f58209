import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { getCompileCacheDir } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

import { pause, systemClock } from "../core/clock.ts";
import type { Environment } from "../core/config.ts";

/** Node is this process's own; Deno the one that was installed with Kiln. */
export const RUNTIMES = ["node", "deno"] as const;
export type Runtime = (typeof RUNTIMES)[number];

export interface ProgramPlan {
  readonly main: string;
  /** Node, unless told. */
  readonly runtime?: Runtime;
  readonly args?: readonly string[];
  /** All of its environment but PATH: what the user has set must not change what is measured. */
  readonly env?: Environment;
  /** For the runtime itself. */
  readonly execArgv?: readonly string[];
  /** Told of each line on stderr; it goes to /dev/null where nobody listens. */
  readonly onLine?: (line: string) => void;
}

/** A process that has said on stdout, in JSON, where it serves. Disposing it asks it to end, and sees that it does. */
export interface Program extends AsyncDisposable {
  readonly pid: number;
  readonly address: string;
}

const READY_MS = 30_000;
const GRACE_MS = 20_000;

/** Starts a program. @throws Error when it ends before it is ready */
export async function startProgram(plan: ProgramPlan): Promise<Program> {
  const { main, runtime = "node", args = [], env = {}, execArgv = [], onLine } = plan;
  const [command, own] =
    runtime === "node" ? [process.execPath, process.execArgv] : [denoPath(), ["run", "--allow-all", "--no-check"]];
  const child = spawn(command, [...own, ...execArgv, main, ...args], {
    env: { PATH, ...compileCache(), ...env },
    // The channel is there to notice our death by.
    stdio: ["ignore", "pipe", onLine === undefined ? "ignore" : "pipe", "ipc"],
  });
  const exited = once(child, "exit");
  if (onLine !== undefined && child.stderr !== null) createInterface(child.stderr).on("line", onLine);
  const dispose = async () => {
    child.kill("SIGTERM");
    const patience = new AbortController();
    await Promise.race([exited, pause(systemClock, GRACE_MS, patience.signal)]);
    patience.abort();
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await exited;
  };
  try {
    const address = await readAddress(child.stdout, exited);
    if (child.pid === undefined || address === undefined)
      throw new Error(`Cannot start ${main}: it was not ready in time`);
    return { pid: child.pid, address, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Shared by all that are started, where this process has one: they start in half the time, and then run alike. */
function compileCache(): Environment {
  const directory = getCompileCacheDir();
  return directory === undefined ? {} : { NODE_COMPILE_CACHE: directory };
}

const PATH = "/usr/local/bin:/usr/bin:/bin";

/** Its program itself: npm's is a script that waits for it, and would be accounted for in its place. */
export function denoPath(): string {
  const shim = join(import.meta.dirname, "../node_modules/.bin/deno");
  return execFileSync(shim, ["eval", "console.log(Deno.execPath())"], { encoding: "utf8" }).trim();
}

async function readAddress(stdout: Readable | null, exited: Promise<unknown>): Promise<string | undefined> {
  if (stdout === null) return undefined;
  const ready = Promise.withResolvers<string>();
  createInterface(stdout).on("line", (line) => {
    const address = /"address":"([^"]+)"/.exec(line)?.[1];
    if (address !== undefined) ready.resolve(address);
  });
  const patience = new AbortController();
  try {
    const late = pause(systemClock, READY_MS, patience.signal);
    return await Promise.race([ready.promise, exited, late]).then((first) =>
      typeof first === "string" ? first : undefined,
    );
  } finally {
    patience.abort();
  }
}
