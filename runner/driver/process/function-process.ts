import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import type { Readable } from "node:stream";

import { CallError } from "../../../core/call-error.ts";
import { systemClock } from "../../../core/clock.ts";
import { ERROR_CODES } from "../../../core/error-codes.ts";
import type { ContainerExit, HotContainer, OutputWriter } from "../driver.ts";
import { StderrTail } from "../stderr-tail.ts";
import type { ProcessOptions } from "./check-options.ts";
import { endWithRunner } from "./end-with-runner.ts";

type Child = ChildProcessByStdio<null, Readable | null, Readable>;

// Only a process that left the group can hold its pipes open for longer than its group lives.
const LAST_WORDS_MS = 200;

/** Starts a function in a process group of its own. @throws CallError `container_init_failed` */
export async function startProcess(id: string, options: ProcessOptions, output?: OutputWriter): Promise<HotContainer> {
  const { child, pid } = await spawnGroup(options, output !== undefined);
  const tail = new StderrTail();
  child.stdout?.on("data", (bytes: Buffer) => output?.write("stdout", bytes));
  child.stderr.on("data", (bytes: Buffer) => {
    tail.push(bytes);
    output?.write("stderr", bytes);
  });
  child.once("close", () => output?.end());
  // Disposed once, and at the latest when the child is gone: later the number may be another group's.
  const group = new DisposableStack();
  group.use(endWithRunner(pid));
  group.defer(() => killGroup(pid));
  const exited = untilExited(child, group);
  // A process that left the group runs on: there is no isolation here in this either.
  const signalGroup = async (signal: "SIGSTOP" | "SIGCONT") => {
    if (group.disposed) throw new CallError("container_init_failed", "The function's process has ended");
    process.kill(-pid, signal);
  };
  return {
    id,
    exited,
    stderrTail: () => tail.text(),
    freeze: () => signalGroup("SIGSTOP"),
    thaw: () => signalGroup("SIGCONT"),
    async [Symbol.asyncDispose]() {
      group.dispose();
      await exited;
    },
  };
}

async function spawnGroup(
  { command, args, cwd, env }: ProcessOptions,
  stdout: boolean,
): Promise<{ child: Child; pid: number }> {
  try {
    const stdio = ["ignore", stdout ? "pipe" : "ignore", "pipe"] as const;
    const child = spawn(command, args, { cwd, env, detached: true, stdio: [...stdio] }) as Child;
    await once(child, "spawn");
    if (child.pid === undefined) throw new Error("it has no process id");
    return { child, pid: child.pid };
  } catch (cause) {
    const what = `cannot start ${JSON.stringify(command)} in ${JSON.stringify(cwd)}`;
    throw new CallError("container_init_failed", `${ERROR_CODES.container_init_failed.text}: ${what}`, { cause });
  }
}

/** Resolves when the child is gone, what it started is killed, and the last of stderr is read. */
function untilExited(child: Child, group: Disposable): Promise<ContainerExit> {
  child.once("exit", () => {
    group[Symbol.dispose]();
    const cancel = systemClock.after(LAST_WORDS_MS, () => {
      child.stdout?.destroy();
      child.stderr.destroy();
    });
    child.once("close", cancel);
  });
  return new Promise((resolve) => {
    child.once("close", (code: number | null, signal: NodeJS.Signals | null) => {
      const exitCode = code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
      // Never known: without a limit of its own, nothing tells the kernel's kill for memory from another.
      resolve({ exitCode, outOfMemory: false });
    });
  });
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Nobody of the group is left.
  }
}
