import { globSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Environment } from "../core/config.ts";
import { ensureDevPki } from "../kiln/dev-pki.ts";
import { pkiFiles } from "../kiln/pki-files.ts";
import { childrenOf } from "./accounts.ts";
import { type Program, type Runtime, startProgram } from "./program.ts";
import { startSlowWire } from "./slow-wire.ts";

const root = join(import.meta.dirname, "..");

export interface KilnOptions {
  /** YAML, as in a functions file. */
  readonly functions: string;
  /** Beside what a runner of plain processes needs. */
  readonly runnerEnv?: Environment;
  readonly gatewayEnv?: Environment;
  /** What the gateway runs on. */
  readonly gateway?: Runtime | undefined;
  readonly profile: string | undefined;
  /** Between gateway and runner, milliseconds each way. */
  readonly delayMs?: number;
  /** Told of each line of the gateway's log, which is then JSON. */
  readonly onGatewayLine?: (line: string) => void;
}

/** A gateway and a runner as they are shipped, each a process of its own. */
export interface KilnSystem extends AsyncDisposable {
  readonly gatewayPid: number;
  readonly runnerPid: number;
  /** `http://host:port` */
  readonly url: string;
  /** Certificates of both, by `NAME.crt` and `NAME.key`, and `ca.crt`. */
  readonly pkiDirectory: string;
  /** Processes of functions that run now. */
  functionPids(): readonly number[];
  /** Sockets of functions that run now. */
  functionSockets(): readonly string[];
}

export async function startKiln({
  functions,
  runnerEnv = {},
  gatewayEnv = {},
  gateway: runtime,
  profile,
  onGatewayLine,
  delayMs = 0,
}: KilnOptions): Promise<KilnSystem> {
  await using made = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "kiln-bench-"));
  made.defer(() => rm(directory, { recursive: true, force: true }));
  const pkiDirectory = join(directory, "pki");
  const pki = await ensureDevPki(pkiDirectory);

  const runner = made.use(
    await startProgram({
      main: join(root, "runner/main.ts"),
      execArgv: profiled(profile, "runner"),
      env: {
        FN_GRPC_PORT: "0",
        FN_DRIVER: "process",
        FN_PROCESS_FUNCTIONS: join(root, "examples/functions"),
        FN_IOFS_PATH: directory,
        // The same containers are driven without Kiln as well, in turns: while it idles they must go on.
        FN_FREEZE_IDLE_MSECS: "-1",
        ...pkiEnv(pki.runner),
        ...runnerEnv,
      },
    }),
  );
  const line = delayMs === 0 ? runner : made.use(await startSlowWire(runner.address, delayMs));
  const gateway = made.use(
    await startGateway({
      directory,
      functions,
      runners: line.address,
      env: gatewayEnv,
      runtime,
      profile,
      onLine: onGatewayLine,
    }),
  );
  const owned = made.move();
  return {
    gatewayPid: gateway.pid,
    runnerPid: runner.pid,
    url: `http://${gateway.address}`,
    pkiDirectory,
    functionPids: () => childrenOf(runner.pid),
    functionSockets: () => globSync(join(directory, "kiln-*/kiln-*/lsnr.sock")),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

export interface GatewayPlan {
  /** Of its files; its certificates are in `pki` there. */
  readonly directory: string;
  /** YAML, as in a functions file. */
  readonly functions: string;
  /** Addresses, as FN_RUNNER_ADDRESSES has them. */
  readonly runners: string;
  readonly env?: Environment;
  readonly runtime: Runtime | undefined;
  readonly profile: string | undefined;
  readonly onLine?: ((line: string) => void) | undefined;
}

/** A gateway as it is shipped, by itself. */
export async function startGateway(plan: GatewayPlan): Promise<Program> {
  const { directory, functions, runners, env = {}, runtime = "node", profile, onLine } = plan;
  const functionsFile = join(await mkdtemp(join(directory, "gateway-")), "functions.yaml");
  await writeFile(functionsFile, functions);
  return startProgram({
    main: join(root, "gateway/main.ts"),
    runtime,
    // Deno writes no profile in Node's form.
    execArgv: runtime === "node" ? profiled(profile, "gateway") : [],
    env: {
      FN_PORT: "0",
      FN_FUNCTIONS_FILE: functionsFile,
      FN_RUNNER_ADDRESSES: runners,
      ...pkiEnv(pkiFiles(join(directory, "pki"), "gateway")),
      ...(onLine === undefined ? {} : { FN_LOG_FORMAT: "json" }),
      ...env,
    },
    ...(onLine === undefined ? {} : { onLine }),
  });
}

/** Options for Node to leave a CPU profile of this name. */
export function profiled(directory: string | undefined, name: string): readonly string[] {
  if (directory === undefined) return [];
  return ["--cpu-prof", `--cpu-prof-dir=${directory}`, `--cpu-prof-name=${name}.cpuprofile`];
}

function pkiEnv({ cert, key, ca }: { readonly cert: string; readonly key: string; readonly ca: string }): Environment {
  return { FN_NODE_CERT: cert, FN_NODE_CERT_KEY: key, FN_NODE_CERT_AUTHORITY: ca };
}
