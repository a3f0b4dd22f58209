import { type ChildProcess, fork } from "node:child_process";
import process from "node:process";

import type { Clock } from "../clock.ts";
import { dialogue } from "./dialogue.ts";
import { readMessage, type WorkerMessage } from "./messages.ts";
import type { Vitals } from "./vitals.ts";
import type { Serving } from "./worker-place.ts";
import { WORKER_FLAG } from "./worker.ts";

/** How a worker ended. */
export interface WorkerExit {
  readonly code: number | null;
  readonly signal: string | null;
  /** Why there was no process at all. */
  readonly reason?: string;
}

/** A worker as its parent sees it. */
export interface WorkerProcess {
  readonly pid: number | undefined;
  /** Resolves once it serves; to undefined where it ended before. */
  readonly serving: Promise<Serving | undefined>;
  readonly exited: Promise<WorkerExit>;
  /** What it tells of itself. */
  readonly vitals: Vitals;
  stop(): void;
  /** No longer to wait for calls. */
  hurry(): void;
  kill(): void;
}

export interface WorkerProcessOptions {
  /** From 1. */
  readonly number: number;
  /** Settings in which it differs from the others. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** What it is told of all workers. */
  readonly whole: Vitals;
  readonly clock: Clock;
}

const PATIENCE_MS = 1_000;

/** Starts this program once more, with the same arguments, as a worker. One that cannot be started has ended with 1. */
export function startWorker({ number, settings, whole, clock }: WorkerProcessOptions): WorkerProcess {
  const [, main = "", ...args] = process.argv;
  let worker: ChildProcess;
  try {
    worker = fork(main, [...args, `${WORKER_FLAG}${number}`]);
  } catch (error) {
    // Of what the system answers, Node emits some errors (EAGAIN) and throws others (ENOMEM).
    return notStarted(error);
  }
  const serving = Promise.withResolvers<Serving | undefined>();
  const exited = Promise.withResolvers<WorkerExit>();
  const send = (message: WorkerMessage) => {
    if (worker.connected) worker.send(message, undefined, undefined, () => {});
  };
  const talk = dialogue({ send, own: () => whole, clock, patienceMs: PATIENCE_MS });
  worker.on("message", (value: unknown) => {
    const message = readMessage(value);
    if (message?.kind === "ready") serving.resolve({ address: message.address, admin: message.admin });
    else if (message !== undefined) talk.heard(message);
  });
  const ended = (exit: WorkerExit) => {
    serving.resolve(undefined);
    exited.resolve(exit);
  };
  worker.on("exit", (code: number | null, signal: string | null) => ended({ code, signal }));
  // One that runs and cannot be reached tells so by its end.
  worker.on("error", (error) => {
    if (worker.pid === undefined) ended(noProcess(error));
  });
  send({ kind: "begin", settings });
  return {
    pid: worker.pid,
    serving: serving.promise,
    exited: exited.promise,
    vitals: talk.other,
    stop: () => send({ kind: "stop" }),
    hurry: () => send({ kind: "hurry" }),
    kill: () => void worker.kill("SIGKILL"),
  };
}

function notStarted(error: unknown): WorkerProcess {
  const nothing = () => {};
  const unknown = () => Promise.reject(new Error("Cannot ask a worker that was not started"));
  return {
    pid: undefined,
    serving: Promise.resolve(undefined),
    exited: Promise.resolve(noProcess(error)),
    vitals: { metrics: unknown, readiness: unknown },
    stop: nothing,
    hurry: nothing,
    kill: nothing,
  };
}

function noProcess(error: unknown): WorkerExit {
  return { code: 1, signal: null, reason: error instanceof Error ? error.message : String(error) };
}
