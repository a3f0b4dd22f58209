import { resolve } from "node:path";
import { parseArgs } from "node:util";

export const startUsage = `npm start -- [--overriders FILE] [--hooks FILE] [--guard FILE] [--workers N]

  Starts a gateway and a runner on this machine, with certificates of their own in .kiln/ and an example function.
  --overriders  the gateway's file, which exports overriders
  --hooks       the runner's file, which exports startHooks, callHooks, runnerOverriders or healthChecks
  --guard       the runner's YAML file of what hooks may ask of Docker
  --workers     processes of each that share the work
  Settings come from the environment: npm run gateway -- --help and npm run runner -- --help list them. The runner
  listens on 127.0.0.1 whatever FN_BIND says.
`;

/** What is handed on to each process. */
export interface StartArgs {
  readonly gateway: readonly string[];
  readonly runner: readonly string[];
}

/** @param directory what relative paths start from @throws Error naming the argument that is wrong */
export function readStartArgs(args: readonly string[], directory: string): StartArgs {
  const { values } = parseArgs({
    args: [...args],
    options: {
      overriders: { type: "string" },
      hooks: { type: "string" },
      guard: { type: "string" },
      workers: { type: "string" },
    },
  });
  const passOn = (name: "overriders" | "hooks" | "guard") => {
    const path = values[name];
    if (path === "") throw new Error(`--${name} is empty, expected a file`);
    return path === undefined ? [] : [`--${name}`, resolve(directory, path)];
  };
  // Each says itself what is wrong with it.
  const workers = values.workers === undefined ? [] : [`--workers=${values.workers}`];
  return {
    gateway: [...passOn("overriders"), ...workers],
    runner: [...passOn("hooks"), ...passOn("guard"), ...workers],
  };
}
