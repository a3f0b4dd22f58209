import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { unmountBelow } from "../../runner/hot/socket-tmpfs.ts";
import { processesOf } from "./processes-of.ts";

/** `npm start` as a user runs it, on free ports. */
export interface Started extends AsyncDisposable {
  readonly process: ChildProcess;
  /** Everything it wrote. */
  readonly output: () => string;
  /** Where clients reach the gateway: `http://127.0.0.1:port`. */
  readonly url: string;
  /** Where the gateway reaches the runner. */
  readonly runnerPort: string;
  /** Resolves with the exit code. */
  readonly exited: Promise<number | null>;
  /** The runner's name, which its containers carry as the label `kiln.runner`. */
  readonly runnerId: string;
  /** Directories of its containers' sockets, below the home that `traces` names. */
  socketDirectories(home: string): Promise<readonly string[]>;
  /** Socket directories and processes of it that are there now. */
  traces(): Promise<{ readonly sockets: readonly string[]; readonly processes: readonly number[] }>;
}

/** Starts Kiln and waits for the line that invokes the example. @throws Error with its output if it ends before */
export async function started(args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Started> {
  // Other tests run beside this one: what is ours must be told from theirs.
  const runnerId = env["FN_RUNNER_ID"] ?? `started-${randomBytes(6).toString("hex")}`;
  const sockets = await mkdtemp(join(tmpdir(), "kiln-t-"));
  const child = spawn(process.execPath, [...process.execArgv, "kiln/main.ts", "start", ...args], {
    env: {
      ...process.env,
      FN_PORT: "0",
      FN_GRPC_PORT: "0",
      FN_RUNNER_ID: runnerId,
      FN_IOFS_PATH: sockets,
      KILN_TRACE: runnerId,
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const ready = Promise.withResolvers<string>();
  const read = (chunk: Buffer) => {
    output += chunk.toString();
    const url = /curl .*(http:\/\/[\d.:]+)\/invoke\//.exec(output)?.[1];
    if (url !== undefined) ready.resolve(url);
  };
  child.stdout.on("data", read);
  child.stderr.on("data", read);
  const exited = once(child, "close").then(([code]) => code as number | null);
  void exited.then((code) => ready.reject(new Error(`It ended with ${code}:\n${output}`)));
  const url = await ready.promise.catch(async (error: unknown) => {
    await rm(sockets, { recursive: true });
    throw error;
  });
  return {
    runnerId,
    runnerPort: /runner +127\.0\.0\.1:(\d+)/.exec(output)?.[1] ?? "",
    socketDirectories: async (home) => {
      const found = await readdir(join(sockets, home), { withFileTypes: true });
      return found.filter((entry) => entry.isDirectory()).map(({ name }) => name);
    },
    traces: async () => ({ sockets: await readdir(sockets), processes: await processesOf(runnerId) }),
    process: child,
    output: () => output,
    url,
    exited,
    async [Symbol.asyncDispose]() {
      child.kill("SIGINT");
      await exited;
      await unmountBelow(sockets);
      await rm(sockets, { recursive: true, force: true });
    },
  };
}
