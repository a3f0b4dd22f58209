import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

import { z } from "zod";

import { pause, systemClock } from "../core/clock.ts";
import type { Environment } from "../core/config.ts";

export interface ChildPlan {
  /** As it is called in messages. */
  readonly name: string;
  /** The module to run, with this process's own runtime and its flags. */
  readonly main: string;
  readonly args: readonly string[];
  readonly env: Environment;
  /** How long it may take to end by itself once it is asked to. */
  readonly graceMs: number;
}

/** A process that has said it is ready. */
export interface Child {
  readonly name: string;
  /** Where it serves, `host:port`. */
  readonly address: string;
  /** Aborted once it is gone; the reason says how it went. */
  readonly gone: AbortSignal;
  /** Asks it to end, and ends it by force when it does not. Resolves to what went wrong with that, if anything did. */
  end(hurried: AbortSignal): Promise<string | undefined>;
}

const readyLine = z.object({ ready: z.literal(true), address: z.string() });

const READY_MS = 60_000;

/** What a child that is told to hurry still gets for removing its containers. */
const HURRIED_MS = 5_000;

/** Two that come within 300 ms are one request. */
const BETWEEN_SIGNALS_MS = 400;

/**
 * Starts a child and waits until it is ready. It has a process group of its own, so that a Ctrl-C reaches it
 * through us, in its turn; and a channel to us, so that it notices our death.
 * @throws Error when it ends first, or `stop` aborts; it is gone then
 */
export async function startChild(plan: ChildPlan, stop: AbortSignal): Promise<Child> {
  const { name, main, args, env, graceMs } = plan;
  const child = spawn(process.execPath, [...process.execArgv, main, ...args], {
    env,
    detached: true,
    // Its messages go where ours go, also after our death: a pipe would then break under it.
    stdio: ["ignore", "pipe", "inherit", "ipc"],
  });
  const gone = whenGone(name, child);
  const end = async (hurried: AbortSignal) => {
    const willingly = await endChild(child, gone, graceMs, hurried);
    if (!willingly) return `The ${name} did not end and was killed: what it left behind is removed at its next start`;
    return child.exitCode === 0 ? undefined : messageOf(gone.reason);
  };
  try {
    return { name, address: await readAddress(name, child.stdout, AbortSignal.any([gone, stop])), gone, end };
  } catch (error) {
    await endChild(child, gone, 0, AbortSignal.abort());
    throw error;
  }
}

function whenGone(name: string, child: ChildProcess): AbortSignal {
  const gone = new AbortController();
  child.once("error", (cause) => gone.abort(new Error(`The ${name} cannot be started: ${cause.message}`, { cause })));
  child.once("exit", (code, signal) => {
    const how = signal === null ? `with exit code ${code}: its own message is above` : `by ${signal}`;
    gone.abort(new Error(`The ${name} ended ${how}`));
    // A process that it left behind may hold the other end, and must not hold us.
    child.stdout?.destroy();
  });
  return gone.signal;
}

/** The text of what was thrown, or aborted with. */
export function messageOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
}

async function readAddress(name: string, stdout: Readable | null, stop: AbortSignal): Promise<string> {
  const ready = Promise.withResolvers<string>();
  if (stdout !== null) {
    createInterface(stdout).on("line", (line) => {
      const address = parseReady(line);
      if (address === undefined) process.stdout.write(`${line}\n`);
      else ready.resolve(address);
    });
  }
  const late = new AbortController();
  const cancel = systemClock.after(READY_MS, () => {
    late.abort(new Error(`The ${name} did not become ready within ${READY_MS / 1_000} s`));
  });
  const failed = AbortSignal.any([stop, late.signal]);
  const fail = () => ready.reject(failed.reason);
  failed.addEventListener("abort", fail, { once: true });
  if (failed.aborted) fail();
  try {
    return await ready.promise;
  } finally {
    cancel();
    failed.removeEventListener("abort", fail);
  }
}

function parseReady(line: string): string | undefined {
  try {
    const parsed = readyLine.safeParse(JSON.parse(line));
    return parsed.data?.address;
  } catch {
    return undefined;
  }
}

/** False if it was killed. */
async function endChild(
  child: ChildProcess,
  gone: AbortSignal,
  graceMs: number,
  hurried: AbortSignal,
): Promise<boolean> {
  if (gone.aborted) return true;
  child.kill("SIGTERM");
  const askedAt = systemClock.now();
  await pause(systemClock, graceMs, AbortSignal.any([gone, hurried]));
  if (!gone.aborted && hurried.aborted) {
    await pause(systemClock, askedAt + BETWEEN_SIGNALS_MS - systemClock.now(), gone);
    // The second one tells it not to wait for its calls.
    child.kill("SIGTERM");
    await pause(systemClock, HURRIED_MS, gone);
  }
  if (gone.aborted) return true;
  killGroup(child);
  await pause(systemClock, HURRIED_MS, gone);
  return false;
}

function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // It has gone in this moment.
  }
}
