import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

import type { FromGenerator, Job, LoadResult, ToGenerator } from "./job.ts";

/** Makes load from a process of its own, so that its CPU is not counted as anyone else's. */
export interface Generator extends AsyncDisposable {
  readonly pid: number;
  /**
   * Runs a job; `between` is called after its warm-up, while nothing is under way.
   * @throws Error when a call fails: figures of failed calls are worth nothing
   */
  run(job: Job, between: () => void): Promise<LoadResult>;
}

export function startGenerator(): Generator {
  const child = fork(join(import.meta.dirname, "main.ts"), { env: {} });
  const { pid } = child;
  if (pid === undefined) throw new Error("Cannot start the load generator");
  const exited = once(child, "exit");
  return {
    pid,
    async run(job, between) {
      send(child, { type: "job", job });
      await heard(child, "warm");
      between();
      send(child, { type: "go" });
      const { result } = await heard(child, "done");
      if (result.failure !== undefined) {
        throw new Error(
          `${result.failures} of ${result.calls} calls to ${job.targets[0]?.path} failed: ${result.failure}`,
        );
      }
      return result;
    },
    async [Symbol.asyncDispose]() {
      if (child.connected) child.disconnect();
      await exited;
    },
  };
}

function send(child: ChildProcess, message: ToGenerator): void {
  child.send(message);
}

function heard<T extends FromGenerator["type"]>(
  child: ChildProcess,
  type: T,
): Promise<Extract<FromGenerator, { type: T }>> {
  return new Promise((resolve, reject) => {
    const ended = () => reject(new Error("The load generator ended before its job did"));
    child.once("exit", ended);
    child.once("message", (message: FromGenerator) => {
      child.off("exit", ended);
      if (message.type === type) resolve(message as Extract<FromGenerator, { type: T }>);
      else reject(new Error(`The load generator said "${message.type}" in place of "${type}"`));
    });
  });
}
