import { join, resolve } from "node:path";
import { parseArgs, type ParseArgsConfig } from "node:util";

import type { Client } from "@connectrpc/connect";

import { loadPki, type PkiFiles } from "../../core/pki.ts";
import { dialRunner, runnerClient } from "../../gateway/runnerpool/runner-link.ts";
import type { RunnerService } from "../../gen/kiln/runner/v1/runner_pb.ts";
import { pkiFiles } from "../pki-files.ts";

/** A runner, asked by an operator who has a gateway's certificate. Disposing it ends the connection. */
export interface ConnectedRunner extends Disposable {
  readonly client: Client<typeof RunnerService>;
}

export const connectUsage = `  RUNNER   its host:port; 127.0.0.1:9190 where none is given
  --pki    the directory with a certificate that the runner admits, and ca.crt (.kiln/pki of this Kiln)
  --as     whose certificate in it (gateway)
  --name   what the runner's own certificate has to say (kiln-runner)
`;

export interface RunnerPlace {
  readonly address: string;
  readonly files: PkiFiles;
  /** In the runner's certificate. */
  readonly name: string;
}

const CONNECT_OPTIONS = {
  pki: { type: "string" },
  as: { type: "string", default: "gateway" },
  name: { type: "string", default: "kiln-runner" },
} as const;

/** The options of a command that asks a runner. @throws Error naming the argument that is wrong */
export function readRunnerArgs<Own extends NonNullable<ParseArgsConfig["options"]>>(
  args: readonly string[],
  own: Own,
  directory: string,
): RunnerPlace & { readonly values: Readonly<Record<string, unknown>> } {
  const options = { ...CONNECT_OPTIONS, ...own };
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  const [address = "127.0.0.1:9190", ...others] = positionals;
  if (others.length > 0) throw new Error(`Unexpected argument '${others[0]}', expected one runner`);
  const { pki, as, name } = values as { readonly pki?: string; readonly as: string; readonly name: string };
  const pkiDirectory = pki === undefined ? join(import.meta.dirname, "../../.kiln/pki") : resolve(directory, pki);
  return { values, address, files: pkiFiles(pkiDirectory, as), name };
}

export async function connectRunner({ address, files, name }: RunnerPlace): Promise<ConnectedRunner> {
  const connection = dialRunner({ address, certCommonName: name, pki: await loadPki(files) });
  // Whoever asks hears of it as the answer to what was asked.
  connection.on("error", () => {});
  return { client: runnerClient(connection, address), [Symbol.dispose]: () => connection.destroy() };
}
