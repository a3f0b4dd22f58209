import { spawn } from "node:child_process";
import { once } from "node:events";

export interface Spawned extends AsyncDisposable {
  /** From its ready line, `host:port`. */
  readonly address: string;
  /** Everything it wrote. */
  output(): string;
}

/**
 * Runs a command line in bash, in a process group of its own, and waits for the ready line of a gateway or a runner.
 * Disposing it sends SIGTERM to the group. @throws Error with its output if it ends before
 */
export async function spawned(
  command: string,
  env: NodeJS.ProcessEnv,
  within: readonly string[] = [],
): Promise<Spawned> {
  const [program, ...args] = [...within, "bash", "-c", command];
  const child = spawn(program, args, { env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  const ready = Promise.withResolvers<string>();
  const read = (chunk: Buffer) => {
    output += chunk.toString();
    const address = /^\{"ready":true,"address":"([^"]+)"\}$/m.exec(output)?.[1];
    if (address !== undefined) ready.resolve(address);
  };
  child.stdout.on("data", read);
  child.stderr.on("data", read);
  const exited = once(child, "close");
  void exited.then(([code]) => ready.reject(new Error(`It ended with ${code}:\n${output}`)));
  return {
    address: await ready.promise,
    output: () => output,
    async [Symbol.asyncDispose]() {
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGTERM");
      await exited;
    },
  };
}
