import process from "node:process";

import { runService } from "../core/service.ts";
import { RUNNER_SETTINGS } from "./settings.ts";
import { shareRunner } from "./share-runner.ts";

const OPTIONS = {
  hooks: "TypeScript or JavaScript file that exports startHooks, callHooks, runnerOverriders or healthChecks",
  guard: "YAML file of what hooks may ask for beyond the guard's own table",
};

await runService(
  {
    usage: "node runner/main.ts [--hooks FILE] [--guard FILE] [--workers N]",
    settings: RUNNER_SETTINGS,
    options: OPTIONS,
    share: shareRunner,
    cleanUpMs: (settings) => settings.FN_DRAIN_REMOVE_MSECS,
    // A parent of workers has no use for it.
    start: async (input) => (await import("./start-runner.ts")).startRunner(input),
  },
  process,
  process.env,
);
