import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { unmountBelow } from "../../runner/hot/socket-tmpfs.ts";
import { pkiFiles, writePki } from "../pki-files.ts";
import { issue, type Authority } from "../pki.ts";

/** One of the project's main files as a process of its own, to be killed. Disposing it kills it. */
export interface MainProcess extends AsyncDisposable {
  readonly process: ChildProcess;
  /** Where it serves, `host:port`. */
  readonly address: string;
  /** Everything it wrote. */
  output(): string;
  /** Asks it to end, and resolves with its exit code. */
  stop(): Promise<number | null>;
  /** Where its sockets are, if it is a runner. */
  readonly directory: string;
  /** Ends it as a power cut would, and resolves when it is gone. */
  kill(): Promise<void>;
}

export interface MainProcessOptions {
  readonly authority: Authority;
  /** The name in its certificate. */
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  /** Where the main file and all others are taken from; by default this tree. */
  readonly tree?: string | undefined;
}

/** A gateway process of its own for these runners, each `name=host:port`. */
export function gatewayProcess(
  authority: Authority,
  runners: readonly string[],
  functions: string,
  settings: Readonly<Record<string, string>> = {},
  tree?: string,
): Promise<MainProcess> {
  const env = { FN_PORT: "0", FN_RUNNER_ADDRESSES: runners.join(","), FUNCTIONS: functions, ...settings };
  return mainProcess("gateway", { authority, name: "kiln-gateway", env, tree });
}

/** A runner process of its own, with functions as plain processes. */
export function runnerProcess(
  authority: Authority,
  name: string,
  port = "0",
  settings: Readonly<Record<string, string>> = {},
  tree?: string,
): Promise<MainProcess> {
  const env = { FN_GRPC_PORT: port, FN_DRIVER: "process", ...settings };
  return mainProcess("runner", { authority, name, env, tree });
}

async function mainProcess(role: "gateway" | "runner", options: MainProcessOptions): Promise<MainProcess> {
  const { authority, name, env, tree } = options;
  const directory = await mkdtemp(join(tmpdir(), `kiln-${role}-`));
  await writePki(directory, name, await issue(authority, { name, role }));
  const { FUNCTIONS = "", ...settings } = env;
  const functionsFile = join(directory, "functions.yaml");
  await writeFile(functionsFile, FUNCTIONS);
  const files = pkiFiles(directory, name);
  const child = spawn(process.execPath, [...process.execArgv, `${role}/main.ts`], {
    env: {
      ...process.env,
      FN_NODE_CERT: files.cert,
      FN_NODE_CERT_KEY: files.key,
      FN_NODE_CERT_AUTHORITY: files.ca,
      ...(role === "gateway" ? { FN_FUNCTIONS_FILE: functionsFile } : { FN_IOFS_PATH: directory, FN_RUNNER_ID: name }),
      ...settings,
    },
    cwd: tree,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const read = (bytes: Buffer) => void (output += bytes.toString());
  child.stdout.on("data", read);
  child.stderr.on("data", read);
  const gone = once(child, "close");
  const stop = async () => {
    child.kill("SIGTERM");
    await gone;
    return child.exitCode;
  };
  const kill = async () => {
    child.kill("SIGKILL");
    await gone;
  };
  const dispose = async () => {
    await kill();
    // Killed as by a power cut, it has left what a next start of it would clean up.
    await unmountBelow(directory);
    await rm(directory, { recursive: true, force: true });
  };
  try {
    const address = await readyAddress(role, child, () => output);
    return { process: child, address, directory, output: () => output, stop, kill, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

function readyAddress(role: string, child: ChildProcess, output: () => string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const look = () => {
    const address = /"ready":true,"address":"([^"]+)"/.exec(output())?.[1];
    if (address !== undefined) resolve(address);
  };
  child.stdout?.on("data", look);
  child.once("close", (code) => reject(new Error(`The ${role} ended with ${code}:\n${output()}`)));
  return promise;
}
