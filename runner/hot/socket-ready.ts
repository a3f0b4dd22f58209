import { type FSWatcher, lstatSync, readlinkSync, type Stats, watch } from "node:fs";
import { connect } from "node:net";
import { basename, dirname, join } from "node:path";

import { CallError } from "../../core/call-error.ts";
import { type Clock, pause, systemClock } from "../../core/clock.ts";
import { LISTENER } from "../../core/container-task.ts";
import { ERROR_CODES } from "../../core/error-codes.ts";

/** Watches a container's socket directory until it is disposed. */
export interface SocketWatch extends Disposable {
  /**
   * Resolves with the path to dial once the function listens. May be called before the container's start.
   * @throws CallError `container_init_failed` for anything but a socket, or the signal's reason
   */
  ready(signal: AbortSignal): Promise<string>;
}

const SOCKET_NAME = basename(LISTENER);
// Where a watch cannot be had, or misses something: Deno arms it only after some milliseconds.
const LOOK_AGAIN_MS = 50;

/** Arms the watch. To be called before the start, so that no socket appears unseen. */
export function watchSocket(directory: string, clock: Clock = systemClock): SocketWatch {
  let woken = new AbortController();
  const watcher = watchDirectory(directory, () => woken.abort());
  return {
    async ready(signal) {
      for (;;) {
        signal.throwIfAborted();
        // Before the look, so that a change during it is not lost.
        woken = new AbortController();
        const path = await findSocket(directory);
        if (path !== undefined) return path;
        await pause(clock, LOOK_AGAIN_MS, AbortSignal.any([signal, woken.signal]));
      }
    },
    [Symbol.dispose]: () => watcher?.close(),
  };
}

function watchDirectory(directory: string, changed: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(directory, (_event, name) => {
      // A function that litters its directory must not keep us busy.
      if (name === SOCKET_NAME || name === null) changed();
    });
    return watcher.on("error", () => {});
  } catch (error) {
    // The machine's watches are used up, by editors for instance: looking again has to do.
    if (error instanceof Error && "code" in error && (error.code === "ENOSPC" || error.code === "EMFILE")) {
      return undefined;
    }
    throw error;
  }
}

/** The socket's path, or undefined while nothing is there, or nobody listens. */
async function findSocket(directory: string): Promise<string | undefined> {
  const path = join(directory, SOCKET_NAME);
  const found = lookAt(path);
  if (found === "nothing") return undefined;
  if (typeof found === "object") throw unusable(found.fault);
  // Bound is not yet listening, and a function that makes no link has nothing else to say it with.
  if (found === "socket") return (await accepts(path)) ? path : undefined;
  // Not the target's path, which the function could make too long to dial.
  return path;
}

/** What a function put where its socket belongs; a fault is what must not be dialled. */
export type FoundSocket = "nothing" | "socket" | "link" | { readonly fault: string };

/**
 * The function made what is there, may change it at any time, and dialling follows links: only one to a neighbour is
 * let through. Fn's libraries link to a socket that already listens, so a dangling link is a mistake and not a
 * beginning. Looks without a thread: the directory is in memory, and the way to a thread and back takes 70 µs where a
 * look takes 3, more than the connection that it is made for.
 */
export function lookAt(path: string): FoundSocket {
  const found = kindOf(path);
  if (found === "nothing") return "nothing";
  if (found === "a socket") return "socket";
  if (found !== "a link") return { fault: found };
  const target = targetOf(path);
  const shown = `a link to ${JSON.stringify(target.slice(0, 100))}`;
  if (target === "" || target.includes("/")) return { fault: shown };
  const linked = kindOf(join(dirname(path), target));
  return linked === "a socket" ? "link" : { fault: `${shown}, and that is ${linked}` };
}

const NOT_YET = ["ECONNREFUSED", "ENOENT"];

/** Whether somebody listens. All other trouble is for the call to meet, and to tell of. */
function accepts(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(!NOT_YET.includes(error.code ?? "")));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}

type Kind = "nothing" | "a socket" | "a link" | "a directory" | "a plain file" | "a special file";

function kindOf(path: string): Kind {
  const stat = statOf(path);
  if (stat === undefined) return "nothing";
  if (stat.isSocket()) return "a socket";
  if (stat.isSymbolicLink()) return "a link";
  if (stat.isDirectory()) return "a directory";
  return stat.isFile() ? "a plain file" : "a special file";
}

/** Undefined where nothing is to be seen, for whatever reason. */
function statOf(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** Empty where it is no link any more. */
function targetOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

function unusable(found: string): CallError {
  const expected = "expected a socket, or a link to one by its bare name in the same directory";
  return new CallError(
    "container_init_failed",
    `${ERROR_CODES.container_init_failed.text}: ${SOCKET_NAME} is ${found}; ${expected}`,
  );
}
